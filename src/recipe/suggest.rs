//! What was meant, most likely, where something else was written.

/// The candidate that `wrong` was most likely meant to be: a third of its letters may differ. Whoever wrote one of them to the
/// letter meant that, and what is wrong with it is something else.
///
/// Pure text; public because commands suggest targets and options with it too.
pub fn suggest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Longer words than any key: the matrix must not be something to attack with.
    if wrong.len() > 100 {
        return None;
    }
    let candidates: Vec<&str> = candidates.into_iter().filter(|candidate| candidate.len() <= 100).collect();
    if candidates.contains(&wrong) {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Damerau-Levenshtein (optimal string alignment), without regard to ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_ascii_lowercase().chars().collect();
    let b: Vec<char> = b.to_ascii_lowercase().chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        for (wrong, right) in [
            ("titel", Some("title")),
            ("Titles", Some("title")),
            ("labls", Some("labels")),
            ("user", None),
            ("x", None),
            (&"x".repeat(10_000), None),
        ] {
            assert_eq!(suggest(wrong, ["title", "labels", "tags"]).as_deref(), right, "{wrong}");
        }
        // What was written is no suggestion, and nothing like it is one then.
        for (wrong, right) in [
            ("latest", None),
            ("Latest", Some("latest")),
            ("latst", Some("latest")),
            ("1.0", None),
            ("é", None),
        ] {
            let tags = ["latest", "latest2", "1.0", "1.1", "é"];
            assert_eq!(suggest(wrong, tags).as_deref(), right, "{wrong}");
        }
    }
}
