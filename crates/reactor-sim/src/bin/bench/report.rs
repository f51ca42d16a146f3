//! Numbers as the tables print them.

/// How a target that was met is marked.
pub(crate) const MET: &str = " met";
/// How a target that was missed is marked.
pub(crate) const MISSED: &str = " MISSED";

/// Whether `value` is at most `target`, as a word for the table.
pub(crate) fn verdict(value: f64, target: f64) -> &'static str {
    if value <= target { MET } else { MISSED }
}

/// The value at `share` (0.5 = median) of sorted values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = (last as f64 * share).round() as usize;
    sorted[at.min(last)]
}

/// Sorts, for [`quantile`].
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
