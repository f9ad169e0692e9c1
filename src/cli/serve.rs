//! A small static server for the page. It answers GET and HEAD, and serves only this machine unless asked otherwise.

use super::args::Serve;
use super::progress::{Talk, line};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest request head that is accepted.
const HEAD_BYTES: u64 = 16 << 10;
/// A client that sends nothing for this long is disconnected.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most connections at a time. Further ones are refused.
const CONNECTIONS: usize = 64;

/// Serves until interrupted.
pub fn run(args: &Serve, talk: Talk) -> Result<()> {
    let shown = args.dir.display();
    let root = args.dir.canonicalize().with_context(|| format!("cannot serve {shown}"))?;
    anyhow::ensure!(root.is_dir(), "cannot serve {shown}: it is not a folder");
    let listener = TcpListener::bind((args.host, args.port)).with_context(|| {
        format!("cannot listen on {} port {} (choose another with --port)", args.host, args.port)
    })?;
    let address = listener.local_addr().context("cannot tell the address")?;
    super::print(format_args!("http://{address}/"))?;
    talk.say(format_args!("Serving {shown}. Stop with Ctrl-C."));
    serve(&listener, &root, talk)
}

/// Serves `root` on this machine in the background, on `port` or, if that is taken, any other. Returns the address.
#[cfg(feature = "train")]
pub fn in_background(root: &Path, port: u16) -> Result<std::net::SocketAddr> {
    let host = std::net::Ipv4Addr::LOCALHOST;
    let listener = TcpListener::bind((host, port)).or_else(|_| TcpListener::bind((host, 0)));
    let listener = listener.context("cannot listen on any port")?;
    let address = listener.local_addr().context("cannot tell the address")?;
    let root = root.canonicalize().with_context(|| format!("cannot serve {}", root.display()))?;
    std::thread::spawn(move || serve(&listener, &root, Talk::Quiet));
    Ok(address)
}

fn serve(listener: &TcpListener, root: &Path, talk: Talk) -> Result<()> {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        // A failed handshake concerns only its client.
        let Ok(stream) = stream else { continue };
        let (root, open) = (root.to_owned(), Arc::clone(&open));
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        std::thread::spawn(move || {
            if let Err(error) = answer(&stream, &root, talk) {
                talk.detail(format_args!("connection: {error}"));
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

/// Reads one request and answers it.
fn answer(stream: &TcpStream, root: &Path, talk: Talk) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(HEAD_BYTES));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut range = None;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(());
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                range = Some(value.trim().to_owned());
            }
            _ if header.trim().is_empty() => break,
            _ => {}
        }
    }
    let response = Response::new(&request, range.as_deref(), root);
    if talk >= Talk::Verbose {
        line(format_args!("{} {}", response.status, request.trim()));
    }
    response.send(stream)
}

/// A response: a part of a file, or a sentence.
struct Response {
    status: &'static str,
    headers: String,
    body: Body,
    head_only: bool,
}

enum Body {
    Text(&'static str),
    File { file: File, start: u64, len: u64 },
}

impl Response {
    fn new(request: &str, range: Option<&str>, root: &Path) -> Self {
        let mut words = request.split_whitespace();
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let head_only = method == "HEAD";
        let refuse = |status, text| Self {
            status,
            headers: "Content-Type: text/plain\r\n".to_owned(),
            body: Body::Text(text),
            head_only,
        };
        if method != "GET" && !head_only {
            let mut response = refuse("405 Method Not Allowed", "Only GET and HEAD.\n");
            response.headers += "Allow: GET, HEAD\r\n";
            return response;
        }
        let Some((path, file, size)) = find(root, target) else {
            return refuse("404 Not Found", "There is no such file.\n");
        };
        if let Some(folder) = folder_of(target).filter(|_| path.ends_with("index.html")) {
            // Addresses in the folder's page are relative to the folder, so the page's own must end with a slash.
            let mut response = refuse("301 Moved Permanently", "It is a folder.\n");
            response.headers += &format!("Location: {folder}/\r\n");
            return response;
        }
        let mut headers = format!(
            "Content-Type: {}\r\nAccept-Ranges: bytes\r\nCache-Control: no-cache\r\n",
            content_type(&path)
        );
        let (status, start, len) = match range.map(|range| parse_range(range, size)) {
            None | Some(Range::Ignored) => ("200 OK", 0, size),
            Some(Range::Part { start, end }) => {
                headers += &format!("Content-Range: bytes {start}-{}/{size}\r\n", end - 1);
                ("206 Partial Content", start, end - start)
            }
            Some(Range::Outside) => {
                let mut response = refuse("416 Range Not Satisfiable", "The file is shorter.\n");
                response.headers += &format!("Content-Range: bytes */{size}\r\n");
                return response;
            }
        };
        Self { status, headers, body: Body::File { file, start, len }, head_only }
    }

    fn send(self, mut stream: &TcpStream) -> io::Result<()> {
        let length = match &self.body {
            Body::Text(text) => text.len() as u64,
            Body::File { len, .. } => *len,
        };
        let head = format!(
            "HTTP/1.1 {}\r\n{}Content-Length: {length}\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\n\r\n",
            self.status, self.headers
        );
        stream.write_all(head.as_bytes())?;
        match self.body {
            _ if self.head_only => {}
            Body::Text(text) => stream.write_all(text.as_bytes())?,
            Body::File { mut file, start, len } => {
                file.seek(SeekFrom::Start(start))?;
                io::copy(&mut file.take(len), &mut stream)?;
            }
        }
        stream.flush()
    }
}

/// The last part of a target that may be a folder without a final slash.
fn folder_of(target: &str) -> Option<&str> {
    let path = target.split(['?', '#']).next().unwrap_or("");
    path.rsplit('/').next().filter(|last| !last.is_empty() && *last != "index.html")
}

/// The file of a request's target, if it is inside the root and not hidden.
fn find(root: &Path, target: &str) -> Option<(PathBuf, File, u64)> {
    let path = target.split(['?', '#']).next().unwrap_or("").strip_prefix('/')?;
    let path = percent_decode(path)?;
    let mut found = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        // This refuses `..` and `.git`. On Windows, a colon or a backslash could lead out of the folder.
        if part.starts_with('.') || part.contains(['\\', ':', '\0']) {
            return None;
        }
        found.push(part);
    }
    // Nor may a symbolic link lead out of the folder.
    let mut found = found.canonicalize().ok()?;
    if found.is_dir() {
        found = found.join("index.html").canonicalize().ok()?;
    }
    if !found.starts_with(root) {
        return None;
    }
    let file = File::open(&found).ok()?;
    let data = file.metadata().ok()?;
    data.is_file().then_some((found, file, data.len()))
}

/// `None` for a broken escape, or text that is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |b: u8| char::from(b).to_digit(16);
        let (high, low) = (digit(*rest.first()?)?, digit(*rest.get(1)?)?);
        bytes.push((high * 16 + low) as u8);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Browsers require these types for modules and wasm.
fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "md" | "txt" | "ts" | "wgsl" | "rs" | "toml" => "text/plain; charset=utf-8",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Range {
    /// A range that is not understood, or several ranges. The whole file is a correct answer.
    Ignored,
    Part {
        start: u64,
        end: u64,
    },
    Outside,
}

fn parse_range(text: &str, size: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Range::Ignored;
    };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(size)),
        (Ok(start), Err(_)) if last.is_empty() => (start, size),
        (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return Range::Ignored,
    };
    if start < end { Range::Part { start, end } } else { Range::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server on a folder `name` with `site/index.html`, `site/a b.wasm` and, outside it, `secret`.
    fn site(name: &str) -> (PathBuf, std::net::SocketAddr) {
        let folder = std::env::temp_dir().join(format!("unnoise-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("site/.git")).expect("folder");
        std::fs::write(folder.join("secret"), "secret").expect("file");
        std::fs::write(folder.join("site/.git/config"), "hidden").expect("file");
        std::fs::write(folder.join("site/index.html"), "<p>hello").expect("file");
        std::fs::write(folder.join("site/a b.wasm"), "0123456789").expect("file");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.join("secret"), folder.join("site/link")).expect("link");
        let root = folder.join("site").canonicalize().expect("folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || serve(&listener, &root, Talk::Quiet));
        (folder, address)
    }

    fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn serves_files_and_nothing_else() {
        let (folder, address) = site("serve");
        let get = |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let index = get("/");
        assert!(index.starts_with("HTTP/1.1 200 OK\r\n"), "{index}");
        assert!(index.contains("Content-Type: text/html"), "{index}");
        assert!(index.contains("Content-Length: 8\r\n") && index.ends_with("<p>hello"), "{index}");
        let wasm = get("/a%20b.wasm?v=1");
        assert!(wasm.contains("Content-Type: application/wasm"), "{wasm}");
        assert!(wasm.ends_with("\r\n\r\n0123456789"), "{wasm}");
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/link",
            "/.git/config",
            "/nothing",
            "/%zz",
            "/%",
            "secret",
            "/a%00b",
            "http://x/",
        ] {
            let answer = get(path);
            assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
            assert!(!answer.contains("secret"), "{path}");
        }
        let head = ask(address, "HEAD / HTTP/1.1\r\n\r\n");
        assert!(head.contains("Content-Length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let post = ask(address, "POST / HTTP/1.1\r\n\r\n");
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("Allow: GET, HEAD"), "{post}");
        std::fs::remove_dir_all(folder).expect("clean up");
    }

    #[test]
    fn a_folder_ends_with_a_slash() {
        let (folder, address) = site("slash");
        std::fs::create_dir(folder.join("site/sub")).expect("a folder");
        std::fs::write(folder.join("site/sub/index.html"), "inner").expect("a page");
        let get = |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\n\r\n"));
        let answer = get("/sub?x");
        assert!(
            answer.starts_with("HTTP/1.1 301 ") && answer.contains("Location: sub/\r\n"),
            "{answer}"
        );
        for path in ["/sub/", "/sub/?x", "/sub/index.html"] {
            assert!(get(path).ends_with("\ninner"), "{path}");
        }
        std::fs::remove_dir_all(folder).expect("clean up");
    }

    #[test]
    fn serves_ranges() {
        let (folder, address) = site("range");
        let get = |range: &str| {
            ask(address, &format!("GET /a%20b.wasm HTTP/1.1\r\nrange: {range}\r\n\r\n"))
        };
        let part = get("bytes=2-4");
        assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
        assert!(part.contains("Content-Range: bytes 2-4/10\r\n") && part.ends_with("\n234"));
        assert!(get("bytes=7-").ends_with("\n789"));
        assert!(get("bytes=-2").ends_with("\n89"));
        assert!(get("bytes=8-99").ends_with("\n89"));
        let past = get("bytes=10-");
        assert!(past.starts_with("HTTP/1.1 416 ") && past.contains("bytes */10"), "{past}");
        assert!(get("bytes=4-2").starts_with("HTTP/1.1 200 "));
        assert!(get("bytes=0-1,4-5").starts_with("HTTP/1.1 200 "));
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
