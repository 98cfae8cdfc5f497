//! The known name nearest to a mistyped one, for errors that help.

/// The candidate with the smallest edit distance to `name`, if it is near enough to be meant: at most a third
/// of its length away, or one contains the other.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let score = |c: &str| {
        let d = distance(name, c);
        (if c.contains(name) || name.contains(c) { d.min(2) } else { d }, d)
    };
    let best = candidates.into_iter().map(|c| (score(c), c)).min_by_key(|&(d, c)| (d, c.len()))?;
    (best.0.0 <= 2.max(best.1.len() / 3)).then_some(best.1)
}

/// ` did you mean `x`?` with a leading semicolon, or nothing.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_typo_and_refuses_a_stranger() {
        let keys = ["gamma", "batch_size", "learning_rate"];
        assert_eq!(nearest("batchsize", keys), Some("batch_size"));
        assert_eq!(nearest("learning_rat", keys), Some("learning_rate"));
        assert_eq!(nearest("zebra_crossing", keys), None);
        assert_eq!(nearest("simple_spraed", ["simple", "simple_spread"]), Some("simple_spread"));
    }
}
