//! How much memory this process uses, as Linux tells.

/// `VmRSS:` now, `RssAnon:` without files, or `VmHWM:` at most so far.
pub(crate) fn resident_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.unwrap_or_default()
}
