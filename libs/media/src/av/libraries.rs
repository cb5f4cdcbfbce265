//! Which builds of the codecs' libraries this process has loaded.

use std::{
    ffi::{CStr, c_int, c_void},
    mem::size_of,
    slice,
};

use nix::libc;

/// What decides the bytes of an encoding.
const LIBRARIES: [&str; 7] = [
    "libavcodec.so",
    "libavutil.so",
    "libswscale.so",
    "libx264.so",
    "libx265.so",
    "libSvtAv1Enc.so",
    "libdav1d.so",
];

/// `NT_GNU_BUILD_ID` (elf(5)).
const BUILD_ID: u32 = 3;

/// File name and build id of each loaded library that decides an encoding's bytes, sorted. Empty
/// where all is linked into the program.
pub(crate) fn loaded_libraries() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // SAFETY: `visit` gets the pointer to `found` that is passed here, and is not called after
    // this call has returned.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found.sort();
    found
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    found: *mut c_void,
) -> c_int {
    // SAFETY: the loader gives a valid description of a loaded object, whose name is a string or
    // null and whose program headers are `dlpi_phnum`; `found` is what was passed on.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<String>>()) };
    if info.dlpi_name.is_null() || info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: see above.
    let (name, headers) = unsafe {
        (
            CStr::from_ptr(info.dlpi_name).to_string_lossy(),
            slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()),
        )
    };
    let file = name.rsplit('/').next().unwrap_or_default();
    if !LIBRARIES.iter().any(|library| file.starts_with(library)) {
        return 0;
    }
    let id = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE)
        .find_map(|header| {
            let start = info.dlpi_addr as usize + header.p_vaddr as usize;
            // SAFETY: the loader has mapped the object's note segments for reading, at their
            // address from the object's base, and they stay as long as the object is loaded.
            let notes =
                unsafe { slice::from_raw_parts(start as *const u8, header.p_memsz as usize) };
            build_id(notes)
        });
    let id: String = id
        .unwrap_or_default()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    found.push(format!("{file} {id}"));
    0
}

/// The build id among ELF notes: name length, description length, type, name, description, each
/// padded to 4 bytes.
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const WORD: usize = size_of::<u32>();
    loop {
        let word = |at: usize| {
            let bytes = notes.get(at..at + WORD)?.try_into().ok()?;
            Some(u32::from_ne_bytes(bytes))
        };
        let (name, description, kind) = (word(0)? as usize, word(WORD)? as usize, word(2 * WORD)?);
        let start = 3 * WORD + name.next_multiple_of(WORD);
        let content = notes.get(start..start + description)?;
        if kind == BUILD_ID && notes.get(3 * WORD..3 * WORD + name) == Some(b"GNU\0") {
            return Some(content);
        }
        notes = notes.get(start + description.next_multiple_of(WORD)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_the_codecs_are_known_by_their_builds() {
        let libraries = loaded_libraries();
        for name in ["libavcodec.so", "libswscale.so", "libx264.so"] {
            let library = libraries
                .iter()
                .find(|library| library.starts_with(name))
                .unwrap_or_else(|| panic!("{name} is not among {libraries:?}"));
            let (_, id) = library.split_once(' ').unwrap();
            assert!(id.len() >= 16, "{library}");
        }
    }

    #[test]
    fn notes_that_break_off_have_no_id() {
        let mut notes = [4_u32, 8, BUILD_ID]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect::<Vec<_>>();
        notes.extend(b"GNU\0abcdefgh");
        assert_eq!(build_id(&notes), Some(&b"abcdefgh"[..]));
        for length in 0..notes.len() {
            assert_eq!(build_id(&notes[..length]), None);
        }
    }
}
