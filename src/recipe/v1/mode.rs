//! Modes as recipes write them: octal digits, or what chmod(1) calls a symbolic mode.

/// What becomes of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// These, whatever was there.
    Bits(u32),
    /// What was there, changed step by step.
    Change(Vec<Step>),
}

/// A step of a change: `g+w` of `u=rwx,g+w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose bits: 0o4 user, 0o2 group, 0o1 others; 0 where nobody is named.
    who: u32,
    /// `+`, `-` or `=`.
    operator: char,
    bits: Bits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bits {
    /// `rwxXst` and none of them.
    Letters(String),
    /// Those that the user (2), the group (1) or others (0) have.
    Of(u32),
}

/// The umask that a change without `u`, `g`, `o` or `a` obeys: nearly everybody's.
const UMASK: u32 = 0o022;

impl Mode {
    /// Reads `0755`, `g=u`, `+x`, `u=rwX,go-w`; none when it is neither.
    pub(in crate::recipe) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|char: char| char.is_ascii_digit()) {
            let good = (3..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            return Self::bits(good.then(|| i64::from_str_radix(text, 8).ok())??);
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
            let who = clause[..clause.len() - rest.len()].chars().fold(0, |who, char| who | class(char));
            let mut rest = rest.strip_prefix(['+', '-', '=']).map(|bits| (rest, bits))?;
            loop {
                let (operator, behind) = (rest.0.chars().next()?, rest.1);
                let end = behind.find(['+', '-', '=']).unwrap_or(behind.len());
                steps.push(Step { who, operator, bits: Bits::parse(&behind[..end])? });
                match behind[end..].get(1..) {
                    Some(more) => rest = (&behind[end..], more),
                    None => break,
                }
            }
        }
        Some(Self::Change(steps))
    }

    /// Permission bits with setuid, setgid and sticky.
    pub(in crate::recipe) fn bits(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|bits| *bits <= 0o7777).map(Self::Bits)
    }

    /// The bits that something gets which has, or would get, `bits`.
    pub fn apply(&self, bits: u32, directory: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Change(steps) => steps.iter().fold(bits, |bits, step| step.apply(bits, directory)),
        }
    }
}

impl Step {
    fn apply(&self, bits: u32, directory: bool) -> u32 {
        let who = if self.who == 0 { 0o7 } else { self.who };
        let (low, special) = match &self.bits {
            Bits::Of(whose) => (bits >> (3 * whose) & 0o7, 0),
            Bits::Letters(letters) => letters.chars().fold((0, 0), |(low, special), letter| match letter {
                'r' => (low | 0o4, special),
                'w' => (low | 0o2, special),
                'x' => (low | 0o1, special),
                'X' if directory || bits & 0o111 != 0 => (low | 0o1, special),
                's' => (low, special | 0o6000),
                't' => (low, special | 0o1000),
                _ => (low, special),
            }),
        };
        let spread = |low: u32| [0o4, 0o2, 0o1].map(|one| if who & one == 0 { 0 } else { low });
        let all = |[user, group, others]: [u32; 3]| user << 6 | group << 3 | others;
        // setuid is the user's bit, setgid the group's, the sticky bit goes with others'.
        let own = (who & 0o7) << 9;
        let mut value = all(spread(low)) | special & own;
        if self.who == 0 {
            value &= !UMASK;
        }
        // What a directory has of these it keeps, unless it is named.
        let kept = if directory { 0o6000 } else { 0 };
        match self.operator {
            '+' => bits | value,
            '-' => bits & !value,
            _ => bits & !((all(spread(0o7)) | own) & !kept) | value,
        }
    }
}

impl Bits {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "u" => Some(Self::Of(2)),
            "g" => Some(Self::Of(1)),
            "o" => Some(Self::Of(0)),
            letters => {
                letters.chars().all(|char| "rwxXst".contains(char)).then(|| Self::Letters(letters.into()))
            }
        }
    }
}

fn class(char: char) -> u32 {
    match char {
        'u' => 0o4,
        'g' => 0o2,
        'o' => 0o1,
        _ => 0o7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As chmod of GNU coreutils 9.1 with umask 022 says.
    #[test]
    fn as_chmod() {
        for (mode, before, file, directory) in [
            ("0640", 0o755, 0o640, 0o640),
            ("g=u", 0o750, 0o770, 0o770),
            ("g=u", 0o644, 0o664, 0o664),
            ("+x", 0o644, 0o755, 0o755),
            ("+w", 0o444, 0o644, 0o644),
            ("a+w", 0o444, 0o666, 0o666),
            ("u+x", 0o644, 0o744, 0o744),
            ("go-rwx", 0o755, 0o700, 0o700),
            ("o=", 0o755, 0o750, 0o750),
            ("u=rwX,go=rX", 0o600, 0o644, 0o755),
            ("a+X", 0o644, 0o644, 0o755),
            ("a+X", 0o744, 0o755, 0o755),
            ("=rw", 0o755, 0o644, 0o644),
            ("u+s", 0o755, 0o4755, 0o4755),
            ("g+s,o+t", 0o755, 0o3755, 0o3755),
            ("u=rwx", 0o4711, 0o711, 0o4711),
            ("a-s", 0o6755, 0o755, 0o755),
            ("g+w-x", 0o755, 0o765, 0o765),
            ("o=g", 0o750, 0o755, 0o755),
            ("g=u,o=g", 0o700, 0o777, 0o777),
        ] {
            let read = Mode::parse(mode).unwrap();
            assert_eq!(read.apply(before, false), file, "{mode} {before:o}");
            assert_eq!(read.apply(before, true), directory, "{mode} {before:o} of a directory");
        }
        for text in ["", "u", "x+u", "u+q", "+x,", ",+x", "u+ug", "8", "99", "07777777", "rwxr-xr-x", "u +x"]
        {
            assert_eq!(Mode::parse(text), None, "{text}");
        }
    }
}
