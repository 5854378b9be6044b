//! Globs over paths, which are bytes: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}` inside a component, `**` across, `\`
//! before a character that shall mean itself. A dot at the beginning of a name is nothing special.
//!
//! A component becomes a small automaton that is simulated, so no pattern and no name take more than their
//! product in time; components are matched in the same way one floor up.

/// Why a glob can't be read. Reads on from "the glob …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobFault {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Longer than 4 KiB.
    #[error("is too long")]
    TooLong,
    /// `[` without `]`.
    #[error("has a `[` that is not closed in its component")]
    OpenClass,
    /// `{` without `}`.
    #[error("has a `{{` that is not closed in its component")]
    OpenBrace,
    /// `}` without `{`.
    #[error("has a `}}` that closes nothing")]
    StrayBrace,
    /// `\` at the end.
    #[error("ends in a `\\`")]
    StrayEscape,
    /// `z-a`.
    #[error("has a range that runs backwards")]
    Backwards,
    /// `**` beside other characters.
    #[error("has a `**` that is not a whole component")]
    StarStar,
}

/// The most bytes that a pattern may have.
const LIMIT: usize = 4096;

/// A parsed glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    components: Vec<Component>,
    /// Bytes of the text that every match begins and ends with: most paths are told from them.
    begin: usize,
    end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    /// `**`
    Any,
    Name(Vec<State>),
}

/// A state of the automaton of one component. `Split` goes on to both without reading; the last is accepting.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    One(u32, usize),
    Any(usize),
    Class { not: bool, ranges: Vec<(u32, u32)>, next: usize },
    Split(Vec<usize>),
    Accept,
}

impl Glob {
    /// Reads a pattern. Its components are separated by `/`; a leading `/` is one with an empty name.
    pub fn parse(pattern: &str) -> Result<Self, GlobFault> {
        match pattern.len() {
            0 => return Err(GlobFault::Empty),
            LIMIT.. => return Err(GlobFault::TooLong),
            _ => {}
        }
        let components = pattern.split('/').map(component).collect::<Result<_, _>>()?;
        let magic = |char| "*?[]{},\\".contains(char);
        let begin = pattern.find(magic).unwrap_or(pattern.len());
        // A `**` before a slash may stand for nothing, without the slash.
        let end =
            pattern.rfind(magic).map_or(pattern, |last| pattern[last + 1..].trim_start_matches('/')).len();
        Ok(Self { text: pattern.to_owned(), components, begin, end })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Is this the whole path?
    pub fn matches(&self, path: &[u8]) -> bool {
        let text = self.text.as_bytes();
        path.starts_with(&text[..self.begin])
            && path.ends_with(&text[text.len() - self.end..])
            && self.walk(path)[self.components.len()]
    }

    /// Can something below this directory match? What a walk asks before it goes down.
    pub fn may_match_below(&self, directory: &[u8]) -> bool {
        directory.is_empty() || self.walk(directory)[..self.components.len()].contains(&true)
    }

    /// The leading components that mean themselves, joined by `/`: where a walk begins.
    pub fn literal_prefix(&self) -> String {
        let literal: Vec<_> = self.text.split('/').take_while(|component| !has_magic(component)).collect();
        literal.join("/")
    }

    /// Which numbers of leading components of the pattern the whole path may stand for.
    fn walk(&self, path: &[u8]) -> Vec<bool> {
        let mut at = vec![false; self.components.len() + 1];
        at[0] = true;
        self.skip(&mut at);
        for name in path.split(|byte| *byte == b'/') {
            let units = units(name);
            let mut next = vec![false; at.len()];
            for (index, component) in self.components.iter().enumerate().filter(|(index, _)| at[*index]) {
                match component {
                    Component::Any => {
                        next[index] = true;
                        next[index + 1] = true;
                    }
                    Component::Name(states) => next[index + 1] |= accepts(states, &units),
                }
            }
            at = next;
            self.skip(&mut at);
        }
        at
    }

    /// `**` may stand for no component at all, except at the end: `a/**` is what lies below a, not a.
    fn skip(&self, at: &mut [bool]) {
        for index in 0..self.components.len().saturating_sub(1) {
            if at[index] && self.components[index] == Component::Any {
                at[index + 1] = true;
            }
        }
    }
}

/// Has the text a character that a glob would not take for itself?
pub fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

/// The characters of a name; a byte that is not UTF-8 is a unit of its own, above all characters.
fn units(name: &[u8]) -> Vec<u32> {
    let mut units = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        units.extend(chunk.valid().chars().map(u32::from));
        units.extend(chunk.invalid().iter().map(|byte| 0x11_0000 + u32::from(*byte)));
    }
    units
}

fn accepts(states: &[State], units: &[u32]) -> bool {
    let mut now = vec![false; states.len()];
    reach(states, 0, &mut now);
    for unit in units {
        let mut next = vec![false; states.len()];
        for state in states.iter().zip(&now).filter_map(|(state, here)| here.then_some(state)) {
            match state {
                State::One(char, to) if char == unit => reach(states, *to, &mut next),
                State::Any(to) => reach(states, *to, &mut next),
                State::Class { not, ranges, next: to }
                    if ranges.iter().any(|(from, till)| (from..=till).contains(&unit)) != *not =>
                {
                    reach(states, *to, &mut next);
                }
                _ => {}
            }
        }
        now = next;
    }
    states.iter().zip(now).any(|(state, here)| here && *state == State::Accept)
}

fn reach(states: &[State], from: usize, set: &mut [bool]) {
    let mut todo = vec![from];
    while let Some(index) = todo.pop() {
        if std::mem::replace(&mut set[index], true) {
            continue;
        }
        if let State::Split(to) = &states[index] {
            todo.extend(to);
        }
    }
}

fn component(text: &str) -> Result<Component, GlobFault> {
    if text == "**" {
        return Ok(Component::Any);
    }
    let mut states = Vec::new();
    // Open braces: where the alternatives split, and the ends of those that are complete.
    let mut braces: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let next = states.len() + 1;
        match char {
            '*' if chars.peek() == Some(&'*') => return Err(GlobFault::StarStar),
            '*' => {
                states.push(State::Split(vec![next, next + 1]));
                states.push(State::Any(next - 1));
            }
            '?' => states.push(State::Any(next)),
            '[' => states.push(class(&mut chars, next)?),
            '{' => {
                states.push(State::Split(vec![next]));
                braces.push((next - 1, Vec::new()));
            }
            ',' if !braces.is_empty() => {
                states.push(State::Split(Vec::new()));
                if let Some((split, ends)) = braces.last_mut() {
                    ends.push(next - 1);
                    if let State::Split(to) = &mut states[*split] {
                        to.push(next);
                    }
                }
            }
            '}' => {
                let (_, ends) = braces.pop().ok_or(GlobFault::StrayBrace)?;
                for end in ends {
                    states[end] = State::Split(vec![next - 1]);
                }
                // Something to jump to, whatever follows.
                states.push(State::Split(vec![next]));
            }
            '\\' => states.push(State::One(chars.next().ok_or(GlobFault::StrayEscape)?.into(), next)),
            char => states.push(State::One(char.into(), next)),
        }
    }
    if !braces.is_empty() {
        return Err(GlobFault::OpenBrace);
    }
    states.push(State::Accept);
    Ok(Component::Name(states))
}

/// What stands between `[` and `]`; a `]` that comes first means itself.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, next: usize) -> Result<State, GlobFault> {
    let not = chars.next_if(|char| matches!(char, '!' | '^')).is_some();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    loop {
        let mut take = || match chars.next() {
            None => Err(GlobFault::OpenClass),
            Some('\\') => chars.next().map(|char| (char, true)).ok_or(GlobFault::OpenClass),
            Some(char) => Ok((char, false)),
        };
        let (from, escaped) = take()?;
        if from == ']' && !escaped && !ranges.is_empty() {
            return Ok(State::Class { not, ranges, next });
        }
        let mut ahead = chars.clone();
        let till = if ahead.next() == Some('-') && !matches!(ahead.next(), Some(']') | None) {
            chars.next();
            match chars.next() {
                Some('\\') => chars.next().ok_or(GlobFault::OpenClass)?,
                other => other.ok_or(GlobFault::OpenClass)?,
            }
        } else {
            from
        };
        if till < from {
            return Err(GlobFault::Backwards);
        }
        ranges.push((from.into(), till.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        for (pattern, yes, no) in [
            ("a", &["a"][..], &["b", "aa", "a/a", ""][..]),
            ("*", &["a", ".hidden", "é"], &["a/b"]),
            ("*.map", &[".map", "x.map", "x.y.map"], &["x.map.gz", "a/x.map"]),
            ("**/*.map", &["x.map", "a/x.map", "a/b/.c/x.map"], &["x.mapp"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "b/a"]),
            ("a/**/z", &["a/z", "a/b/c/z"], &["a/z/b", "z"]),
            ("**", &["a", "a/b"], &[]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc", "a/c"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]", &["d", "-"], &["a"]),
            ("[]x]", &["]", "x"], &["["]),
            ("[a-]", &["a", "-"], &["b"]),
            ("{a,bb,}c", &["ac", "bbc", "c"], &["bc"]),
            ("{a,{b,c}d}*", &["a", "bd", "cdx"], &["b"]),
            (r"\*\{[\]]", &["*{]"], &["x{]"]),
            ("a,b", &["a,b"], &["a"]),
            ("/usr/*/x", &["/usr/share/x"], &["usr/share/x", "/usr/x"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for path in yes {
                assert!(glob.matches(path.as_bytes()), "{pattern} {path}");
            }
            for path in no {
                assert!(!glob.matches(path.as_bytes()), "{pattern} {path}");
            }
        }
        assert!(Glob::parse("?").unwrap().matches(b"\xff"));
        assert!(!Glob::parse("??").unwrap().matches("é".as_bytes()));
    }

    #[test]
    fn faults() {
        for (pattern, fault) in [
            ("", GlobFault::Empty),
            ("[a", GlobFault::OpenClass),
            ("[a/b]", GlobFault::OpenClass),
            ("[]", GlobFault::OpenClass),
            ("{a", GlobFault::OpenBrace),
            ("{a/b}", GlobFault::OpenBrace),
            ("a}", GlobFault::StrayBrace),
            ("a\\", GlobFault::StrayEscape),
            ("[z-a]", GlobFault::Backwards),
            ("a**", GlobFault::StarStar),
            ("***", GlobFault::StarStar),
            (&"a".repeat(5000), GlobFault::TooLong),
        ] {
            assert_eq!(Glob::parse(pattern), Err(fault), "{pattern}");
        }
    }

    #[test]
    fn walking() {
        let glob = Glob::parse("a/b/*.{x,y}/**").unwrap();
        assert_eq!(glob.literal_prefix(), "a/b");
        for (directory, below) in [
            ("", true),
            ("a", true),
            ("a/b", true),
            ("a/c", false),
            ("a/b/1.x", true),
            ("a/b/1.x/deep/down", true),
            ("a/b/1.z", false),
        ] {
            assert_eq!(glob.may_match_below(directory.as_bytes()), below, "{directory}");
        }
        assert!(!Glob::parse("a/b").unwrap().may_match_below(b"a/b"));
        assert!(has_magic("a{b") && has_magic("*") && !has_magic("a]b}"));
    }

    #[test]
    fn no_pattern_is_slow() {
        let glob = Glob::parse(&format!("{}b", "*a".repeat(500))).unwrap();
        assert!(!glob.matches("a".repeat(4000).as_bytes()));
        let deep = Glob::parse(&format!("{}b", "**/".repeat(500))).unwrap();
        assert!(!deep.matches("a/".repeat(2000).as_bytes()));
    }
}
