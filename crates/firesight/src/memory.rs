//! What a recipe asks of the machine's memory before anything is built: what cannot be had is an error of its key, and
//! not the end of the process in the middle of its work.

use std::fs;

/// What is taken to be there where the system does not tell.
const UNKNOWN: u64 = 256 << 30;

/// The memory of this machine in bytes, or what this process may have of it.
pub(crate) fn limit() -> u64 {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let total = total(&read("/proc/meminfo"));
    // Of a container; the text is `max` where there is no limit.
    let allowed = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
    [total, allowed]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(UNKNOWN)
}

/// The whole memory in the text of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes: u64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// What is said where so many bytes are more than `limit`, if they are.
pub(crate) fn excess(bytes: u64, limit: u64) -> Option<String> {
    let shown = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let (needed, there) = (shown(bytes), shown(limit));
    (bytes > limit).then(|| format!("{needed} of memory, of which there are {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_and_compared() {
        assert_eq!(
            total("MemTotal:       2097152 kB\nMemFree: 1 kB\n"),
            Some(2 << 30)
        );
        assert_eq!(total("Mem: 2\n"), None);
        assert_eq!(excess(2 << 30, 2 << 30), None);
        assert_eq!(
            excess(3 << 29, 1 << 30).unwrap(),
            "1.5 GiB of memory, of which there are 1.0 GiB"
        );
        assert!(limit() > 1 << 20);
    }
}
