//! Addresses of kernel variables, from `/proc/kallsyms`.

use std::io;

/// The addresses of these names, 0 for those that the kernel does not have.
///
/// # Errors
/// When the list cannot be read, or holds a name without its address because this process
/// may not know it.
pub(crate) fn addresses<const N: usize>(names: [&str; N]) -> io::Result<[u64; N]> {
    find(&std::fs::read("/proc/kallsyms")?, names)
}

fn find<const N: usize>(list: &[u8], names: [&str; N]) -> io::Result<[u64; N]> {
    let mut found = [0; N];
    for line in list.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let (address, name) = (fields.next(), fields.nth(1));
        let at = names
            .iter()
            .position(|wanted| name == Some(wanted.as_bytes()));
        if let Some(slot) = at.and_then(|at| found.get_mut(at)) {
            *slot = parse(address.unwrap_or_default())?;
        }
    }
    Ok(found)
}

fn parse(address: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(address).map_err(io::Error::other)?;
    match u64::from_str_radix(text, 16).map_err(io::Error::other)? {
        0 => Err(io::Error::other(
            "the kernel hides the addresses of its variables (kernel.kptr_restrict)",
        )),
        address => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::find;

    #[test]
    fn names_are_found_whole() {
        let list = b"ffffffff81000000 T _text\nffffffff82000010 D page_offset_base\n\
            ffffffff83000000 d page_offset_base_too\nffffffffc0000000 t a\t[module]\n";
        let found = find(list, ["page_offset_base", "vmemmap_base"]).unwrap();
        assert_eq!(found, [0xffff_ffff_8200_0010, 0]);
    }

    #[test]
    fn hidden_addresses_are_an_error() {
        let list = b"0000000000000000 D page_offset_base\n";
        assert!(find(list, ["page_offset_base"]).is_err());
        assert!(find(b"xyz D page_offset_base\n", ["page_offset_base"]).is_err());
    }
}
