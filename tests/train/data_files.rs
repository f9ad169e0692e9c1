//! Files for the tests of data sets: pictures, archives, arrays.

use crate::common::files;
use std::fs;
use std::io::{Cursor, Write};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A file that `tests/fixtures/dataset/make.py` made.
pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(files::fixture("dataset").join(name)).unwrap()
}

/// A picture that it made.
pub fn picture(name: &str) -> Vec<u8> {
    fixture(&format!("pictures/{name}"))
}

/// A PNG of one colour.
pub fn png(w: u32, h: u32, color: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w, h);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&color.repeat((w * h) as usize)).unwrap();
    writer.finish().unwrap();
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zip_of(files: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn tar_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An npy file with this header.
pub fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

/// The header of a plain array.
pub fn plain(kind: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
}

/// An npy file of numbers of a type that numpy calls `kind`.
pub fn array(kind: &str, shape: &[usize], values: &[f64]) -> Vec<u8> {
    let bytes = |v: f64| -> Vec<u8> {
        match kind {
            "|b1" | "|u1" => vec![v as u8],
            "|i1" => (v as i8).to_le_bytes().to_vec(),
            "<u2" => (v as u16).to_le_bytes().to_vec(),
            ">u2" => (v as u16).to_be_bytes().to_vec(),
            "<i2" => (v as i16).to_le_bytes().to_vec(),
            "<u4" => (v as u32).to_le_bytes().to_vec(),
            "<i4" => (v as i32).to_le_bytes().to_vec(),
            "<u8" => (v as u64).to_le_bytes().to_vec(),
            "<i8" => (v as i64).to_le_bytes().to_vec(),
            ">i8" => (v as i64).to_be_bytes().to_vec(),
            "<f2" => half::f16::from_f64(v).to_le_bytes().to_vec(),
            "<f4" => (v as f32).to_le_bytes().to_vec(),
            ">f4" => (v as f32).to_be_bytes().to_vec(),
            "<f8" => v.to_le_bytes().to_vec(),
            _ => panic!("{kind}"),
        }
    };
    assert_eq!(values.len(), shape.iter().product::<usize>());
    let data: Vec<u8> = values.iter().flat_map(|&v| bytes(v)).collect();
    npy(&plain(kind, "False", &tuple(shape)), &data)
}

/// An npy file of texts, as numpy's `U` has them.
pub fn texts(values: &[&str]) -> Vec<u8> {
    let longest = values.iter().map(|text| text.chars().count()).max().unwrap().max(1);
    let code = |text: &str| -> Vec<u8> {
        let codes = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
        codes.flat_map(u32::to_le_bytes).collect()
    };
    let data: Vec<u8> = values.iter().flat_map(|text| code(text)).collect();
    npy(&plain(&format!("<U{longest}"), "False", &tuple(&[values.len()])), &data)
}

/// A shape as Python writes it.
pub fn tuple(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| size.to_string()).collect();
    format!("({},)", sizes.join(", "))
}
