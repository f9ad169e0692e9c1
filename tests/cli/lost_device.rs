//! A device that is lost in the middle of the work, as after a driver reset. A Vulkan layer (`lost_device.c`) simulates
//! the loss, and the program is the one that users have. `UNNOISE` can name a binary from another build:
//! `scripts/test.sh release` names the release build, whose panics must be caught as well.

use crate::common::files;
use crate::common::folder::Folder;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs the binary with a device that is lost at the fourth wait for it. None if there is no C compiler.
fn run(folder: &Folder, args: &[&str]) -> Option<Output> {
    let library = folder.file("liblost_device.so");
    let source = files::repository("tests/cli/lost_device.c");
    let compiler =
        Command::new("cc").args(["-shared", "-fPIC", "-o", &library]).arg(source).status();
    let Ok(compiled) = compiler else {
        eprintln!("SKIPPED: there is no C compiler");
        return None;
    };
    assert!(compiled.success());
    let manifest = format!(
        r#"{{"file_format_version": "1.1.2", "layer": {{"name": "VK_LAYER_UNNOISE_lost_device", "type": "GLOBAL",
            "library_path": "{library}", "api_version": "1.3.0", "implementation_version": "1", "description": ""}}}}"#
    );
    folder.write("lost_device.json", manifest.as_bytes());
    let program = std::env::var_os("UNNOISE").map_or_else(files::binary, Into::into);
    let mut child = Command::new(program)
        .args(args)
        .env("VK_ADD_LAYER_PATH", &**folder)
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_UNNOISE_lost_device")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    // If the loss did not end a wait, it would last forever.
    let began = Instant::now();
    while child.try_wait().expect("a process").is_none() {
        if began.elapsed() > Duration::from_secs(300) {
            child.kill().expect("a process");
            panic!("still running");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(child.wait_with_output().expect("its output"))
}

fn is_a_sentence(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the graphics device was lost"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("Parent device is lost"), "{said}");
}

#[test]
fn a_device_lost_while_sampling_is_a_sentence() {
    let folder = Folder::new("lost-device");
    let model = files::repository("www/models/emoji-16");
    let (model, out) = (model.to_str().expect("UTF-8"), folder.file("out.png"));
    let args = ["sample", model, "--steps", "20", "-n", "1", "--out", &out];
    if let Some(output) = run(&folder, &args) {
        is_a_sentence(&output);
        assert!(!folder.join("out.png").exists());
    }
}
