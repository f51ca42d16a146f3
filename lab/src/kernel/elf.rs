//! The dynamic loader that is written in a program.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Of the file's header (ELF, 64 bit, little endian): where the program headers are, how long each is, how many.
const PROGRAM_HEADERS: usize = 0x20;
const HEADER_SIZE: usize = 0x36;
const HEADER_COUNT: usize = 0x38;
/// The type of the program header that names the loader.
const PT_INTERP: u32 = 3;

/// Copies a program and lets the copy ask for another dynamic loader; `loader` has to fit where the old path was.
pub(super) fn with_loader(program: &Path, copy: &Path, loader: &str) -> io::Result<()> {
    let mut bytes = fs::read(program)?;
    let place = interpreter(&bytes).ok_or_else(|| invalid("no 64-bit program with a dynamic loader"))?;
    let field = bytes.get_mut(place).ok_or_else(|| invalid("the dynamic loader's name is not in the file"))?;
    // The name ends with a zero byte.
    if loader.len() >= field.len() {
        return Err(invalid("the dynamic loader's name does not fit"));
    }
    field.fill(0);
    field[..loader.len()].copy_from_slice(loader.as_bytes());
    fs::write(copy, bytes)?;
    fs::set_permissions(copy, fs::Permissions::from_mode(0o755))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Where the loader's name is.
fn interpreter(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, size: usize| -> Option<usize> {
        let mut value = [0; 8];
        value[..size].copy_from_slice(bytes.get(at..at.checked_add(size)?)?);
        usize::try_from(u64::from_le_bytes(value)).ok()
    };
    let (first, size) = (number(PROGRAM_HEADERS, 8)?, number(HEADER_SIZE, 2)?);
    (0..number(HEADER_COUNT, 2)?)
        .filter_map(|index| first.checked_add(index.checked_mul(size)?))
        .find(|at| number(*at, 4) == usize::try_from(PT_INTERP).ok())
        .and_then(|at| {
            let (start, length) = (number(at.checked_add(0x08)?, 8)?, number(at.checked_add(0x20)?, 8)?);
            Some(start..start.checked_add(length)?)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_copy_asks_for_the_other_loader_and_is_the_same_otherwise() {
        let folder = crate::image::store::test_folder("elf");
        let program = std::env::current_exe().unwrap();
        let copy = folder.join("copy");
        with_loader(&program, &copy, "/other").unwrap();
        let (before, after) = (fs::read(&program).unwrap(), fs::read(&copy).unwrap());
        let place = interpreter(&after).unwrap();
        assert!(after[place.clone()].starts_with(b"/other\0"));
        assert_eq!((&before[..place.start], &before[place.end..]), (&after[..place.start], &after[place.end..]));
        let error = with_loader(&program, &copy, &"x".repeat(200)).unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
        fs::write(program.with_file_name("no-program-of-the-elf-test"), "#!/bin/sh\n").unwrap();
        let script = program.with_file_name("no-program-of-the-elf-test");
        assert!(with_loader(&script, &copy, "/other").is_err());
        fs::remove_file(script).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _none = interpreter(&[b"\x7fELF\x02\x01".as_slice(), &rest].concat());
        }
    }
}
