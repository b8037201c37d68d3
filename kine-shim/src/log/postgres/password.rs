//! The password of a URL that has none, as libpq finds it: PGPASSWORD, else a line of the password file. In goes where
//! the connection leads, out comes a password or none; a file that others may read is not looked at.

use std::os::unix::fs::PermissionsExt;

use tokio_postgres::config::Host;

use crate::log::Options;

pub(super) fn find(config: &tokio_postgres::Config, options: &Options) -> Option<Vec<u8>> {
    if let Some(password) = &options.password {
        return Some(password.0.to_vec());
    }
    let file = options.password_file.as_deref()?;
    let metadata = std::fs::metadata(file).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "the password file is not read: others may read it too (chmod 600)");
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(_)) | None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let wanted = [&host, &port, config.get_dbname().unwrap_or_default(), config.get_user().unwrap_or_default()];
    text.lines().find_map(|line| password_of(line, &wanted)).map(String::into_bytes)
}

/// The fifth field of a line whose first four are these, or stars.
fn password_of(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let next = match character {
            '\\' => characters.next(),
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                None
            }
            other => Some(other),
        };
        fields.last_mut()?.extend(next);
    }
    let [of @ .., password] = fields.as_slice() else { return None };
    let fits = of.len() == 4 && of.iter().zip(wanted).all(|(of, wanted)| of == "*" || of == wanted);
    fits.then(|| password.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_password_file_is_chosen_as_libpq_does() {
        let wanted = ["h", "5432", "d", "u"];
        let cases = [
            ("h:5432:d:u:secret", Some("secret")),
            ("*:*:*:*:a:b", Some("a:b")),
            (r"*:*:*:u:a\:b\\c", Some(r"a:b\c")),
            ("h:5433:d:u:secret", None),
            ("h:5432:d:v:secret", None),
            ("# h:5432:d:u:secret", None),
            ("h:5432:d:u", None),
            ("", None),
        ];
        for (line, password) in cases {
            assert_eq!(password_of(line, &wanted).as_deref(), password, "{line}");
        }
    }
}
