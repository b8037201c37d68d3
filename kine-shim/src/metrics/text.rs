//! Prometheus' text format 0.0.4, which is what etcd serves: in it a counter is called what it is called, while
//! OpenMetrics wants its samples to end in _total. In goes OpenMetrics as the library writes it, out comes the older
//! format with etcd's names.

/// etcd's counters that do not end in _total.
const BARE: &[&str] = &["etcd_server_health_success", "etcd_server_health_failures"];
const SUFFIX: &str = "_total";

/// `without` names a metric to leave out; empty leaves out none.
pub(super) fn classic(open: &str, without: &str) -> String {
    let mut page = String::with_capacity(open.len() + open.len() / 8);
    // HELP precedes TYPE, which tells how to name both.
    let (mut help, mut bare, mut is_left_out) = (None, None, false);
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            is_left_out = rest.split(' ').next() == Some(without);
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            bare = BARE.iter().find(|known| **known == name);
            let suffix = if kind == "counter" && bare.is_none() { SUFFIX } else { "" };
            let text = help.take().and_then(|help| help.strip_prefix(name)).unwrap_or_default();
            if !is_left_out {
                page += &format!("# HELP {name}{suffix}{text}\n# TYPE {name}{suffix} {kind}\n");
            }
        } else if !line.starts_with('#') && !is_left_out {
            match bare.and_then(|name| line.strip_prefix(name)).and_then(|rest| rest.strip_prefix(SUFFIX)) {
                Some(value) => page += &format!("{}{value}\n", bare.unwrap_or(&"")),
                None => page += &format!("{line}\n"),
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::classic;

    #[test]
    fn names_are_those_of_the_older_format() {
        let open = "# HELP a Apples.\n# TYPE a counter\na_total{k=\"v\"} 1\n# HELP etcd_server_health_success Ok.\n\
                    # TYPE etcd_server_health_success counter\netcd_server_health_success_total 2\n# HELP g_total Gauge.\n\
                    # TYPE g_total gauge\ng_total 3\n# HELP h Time.\n# TYPE h histogram\nh_sum 0.0\nh_count 0\nh_bucket{le=\"+Inf\"} 0\n# EOF\n";
        let classic_page = "# HELP a_total Apples.\n# TYPE a_total counter\na_total{k=\"v\"} 1\n# HELP etcd_server_health_success Ok.\n\
                            # TYPE etcd_server_health_success counter\netcd_server_health_success 2\n# HELP g_total Gauge.\n\
                            # TYPE g_total gauge\ng_total 3\n";
        assert_eq!(classic(open, "h"), classic_page);
        assert!(classic(open, "").ends_with("h_bucket{le=\"+Inf\"} 0\n"));
    }
}
