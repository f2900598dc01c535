//! The flags of open(2) as words: `O_WRONLY|O_CREAT|O_TRUNC`. Their numbers are those of
//! Linux on the machine that reads: a trace does not say which architecture it is from,
//! and ARM exchanges the places of four of them.

/// Whether this architecture has numbers of its own.
const ARM: bool = cfg!(any(target_arch = "aarch64", target_arch = "arm"));
const DIRECTORY: u32 = if ARM { 0o40_000 } else { 0o200_000 };
const NOFOLLOW: u32 = if ARM { 0o100_000 } else { 0o400_000 };
const DIRECT: u32 = if ARM { 0o200_000 } else { 0o40_000 };

/// What a 64-bit kernel adds to every open, whoever asks: it says nothing.
const LARGEFILE: u32 = if ARM { 0o400_000 } else { 0o100_000 };

/// The flags beside the access mode; one that contains another stands before it.
const WORDS: [(u32, &str); 16] = [
    (0o20_000_000 | DIRECTORY, "O_TMPFILE"),
    (0o4_010_000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1_000, "O_TRUNC"),
    (0o2_000, "O_APPEND"),
    (0o4_000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "O_ASYNC"),
    (DIRECT, "O_DIRECT"),
    (DIRECTORY, "O_DIRECTORY"),
    (NOFOLLOW, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

/// The flags as words joined by `|`; bits without a name as one hexadecimal number.
#[must_use]
pub fn words(flags: u32) -> String {
    let access = flags & 3;
    let mut words = match access {
        0 => vec!["O_RDONLY".to_owned()],
        1 => vec!["O_WRONLY".to_owned()],
        2 => vec!["O_RDWR".to_owned()],
        // Neither reading nor writing: for ioctl only.
        _ => vec!["3".to_owned()],
    };
    let mut rest = flags & !(access | LARGEFILE);
    for (flag, word) in WORDS {
        if rest & flag == flag {
            rest &= !flag;
            words.push(word.to_owned());
        }
    }
    if rest != 0 {
        words.push(format!("0x{rest:x}"));
    }
    words.join("|")
}

#[cfg(test)]
mod tests {
    use super::{LARGEFILE, WORDS, words};

    #[test]
    fn a_flag_within_another_one_is_not_told_twice() {
        assert_eq!(words(2 | 0o4_010_000), "O_RDWR|O_SYNC");
        assert_eq!(words(2 | 0o10_000), "O_RDWR|O_DSYNC");
        let all = WORDS.iter().fold(LARGEFILE, |all, (flag, _)| all | flag);
        let told = words(all);
        assert!(told.contains("O_TMPFILE") && !told.contains("O_DIRECTORY"));
        assert!(!told.contains("0x"), "{told}");
    }

    #[test]
    fn bits_without_a_name_stay_visible() {
        assert_eq!(words(3), "3");
        assert_eq!(words(1 | 0x2000_0020), "O_WRONLY|0x20000020");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_those_of_the_kernel() {
        for (flags, expected) in [
            (0, "O_RDONLY"),
            (0o101_101, "O_WRONLY|O_CREAT|O_TRUNC"),
            (0o2_300_000, "O_RDONLY|O_DIRECTORY|O_CLOEXEC"),
            (0o20_200_002, "O_RDWR|O_TMPFILE"),
            (0o440_002, "O_RDWR|O_DIRECT|O_NOFOLLOW"),
        ] {
            assert_eq!(words(flags), expected);
        }
    }
}
