//! Static bearer tokens from a CSV file: `token,user,uid,"group1,group2"`.

use std::{collections::HashMap, path::Path};

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{BadCredentials, TokenLookup};
use crate::request::User;

/// Users by the digest of their token, so that looking one up takes the same time whatever the token is.
pub struct TokenFile {
    users: HashMap<[u8; 32], User>,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("token file {path:?}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error(
        "token file {path:?}, line {line}: must have at least 3 columns (token, user name, user uid), found {found}"
    )]
    TooFewColumns { path: String, line: usize, found: usize },
    #[error("token file {path:?}, line {line}: a quote is not closed")]
    OpenQuote { path: String, line: usize },
}

impl TokenFile {
    pub fn read(path: &Path) -> Result<TokenFile, TokenFileError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenFileError::Unreadable { path: shown.clone(), source })?;
        TokenFile::parse(&shown, &text)
    }

    fn parse(path: &str, text: &str) -> Result<TokenFile, TokenFileError> {
        let mut users = HashMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (path, line_number) = (path.to_owned(), at + 1);
            let columns = columns(line).ok_or(TokenFileError::OpenQuote { path: path.clone(), line: line_number })?;
            let [token, name, uid, more @ ..] = columns.as_slice() else {
                return Err(TokenFileError::TooFewColumns { path, line: line_number, found: columns.len() });
            };
            if token.is_empty() {
                tracing::warn!(path, line = line_number, "a token is empty and was skipped");
                continue;
            }
            let groups = more.first().map(|g| g.as_str()).unwrap_or_default();
            let groups = groups.split(',').filter(|g| !g.is_empty()).map(str::to_owned).collect();
            let user = User { name: name.clone(), uid: uid.clone(), groups, extra: Vec::new() };
            if users.insert(digest(token), user).is_some() {
                tracing::warn!(path, line = line_number, "a token occurs twice; the last one counts");
            }
        }
        Ok(TokenFile { users })
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// One line of CSV; none where a quote stays open.
fn columns(line: &str) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let mut rest = line;
    loop {
        let (column, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_column(quoted)?,
            None => match rest.split_once(',') {
                Some((column, after)) => (column.to_owned(), Some(after)),
                None => (rest.to_owned(), None),
            },
        };
        columns.push(column);
        match after {
            Some(after) => rest = after,
            None => return Some(columns),
        }
    }
}

/// What stands in quotes, and what follows the comma after it. A doubled quote is a quote.
fn quoted_column(mut rest: &str) -> Option<(String, Option<&str>)> {
    let mut column = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        column.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                column.push('"');
                rest = more;
            }
            None => return Some((column, after.split_once(',').map(|(_, next)| next))),
        }
    }
}

impl TokenLookup for TokenFile {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move { Ok(self.users.get(&digest(token)).cloned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_be_quoted() {
        let file = TokenFile::parse("f", "t1,alice,u1\nt2,bob,u2,\"a,b\"\n\nt3,\"c \"\"x\"\"\",u3,\"\"\n").unwrap();
        assert_eq!(file.users[&digest("t1")].groups, Vec::<String>::new());
        assert_eq!(file.users[&digest("t2")].groups, ["a", "b"]);
        assert_eq!(file.users[&digest("t3")].name, "c \"x\"");
    }

    #[test]
    fn bad_lines_are_refused_with_their_number() {
        let refusal = |text: &str| TokenFile::parse("f", text).err().unwrap().to_string();
        assert!(refusal("t,u,1\nt2,bob\n").contains("line 2: must have at least 3 columns"));
        assert!(refusal("t,u,1,\"a\nb,c,d\n").contains("line 1"));
    }
}
