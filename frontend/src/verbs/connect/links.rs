//! Links of a backend's pages and redirects, led through the proxy: what is absolute on its host gets the proxy's
//! prefix.
//!
//! In: a body of text/html, plain or compressed with gzip. Out: the same with the links in its tags rewritten, tag by
//! tag as it flows; a tag that is longer than [`TAG_BYTES_MAX`] passes as it is. Not here: links in scripts and styles.

use std::io::{Read, Write};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use futures::StreamExt;
use http_body_util::BodyExt;

use crate::request::body::{self, Body, BodyError};

/// A tag that is longer passes unread.
const TAG_BYTES_MAX: usize = 64 * 1024;
/// A compressed page is read as a whole; one that is larger, or becomes larger, is cut.
const COMPRESSED_BYTES_MAX: usize = 4 * 1024 * 1024;
const PLAIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Which attributes of which tags hold a URL.
const LINKS: [(&str, &[&str]); 24] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("video", &["poster", "src"]),
];
/// Tags whose content is text up to their end.
const RAW: [&str; 2] = ["script", "style"];

/// How links are led through the proxy.
#[derive(Clone)]
pub(super) struct Rewriter {
    /// As the client calls this server.
    pub(super) host: String,
    /// host:port of the backend.
    pub(super) backend: String,
    /// The path of the proxy.
    pub(super) prefix: String,
}

impl Rewriter {
    /// Where a path of the backend is for clients.
    pub(super) fn forwarded_uri(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A link as clients must follow it. Relative links and those to other hosts stay.
    pub(super) fn rewrite(&self, link: &str) -> String {
        let (host, rest) = match link.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                (&rest[..end], &rest[end..])
            }
            _ => match link.strip_prefix("//") {
                Some(rest) => {
                    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                    (&rest[..end], &rest[end..])
                }
                None => ("", link),
            },
        };
        let is_elsewhere = !host.is_empty() && host != self.backend && host != self.host;
        if is_elsewhere || !rest.starts_with('/') {
            return link.to_owned();
        }
        let prefix = if rest.starts_with(&self.prefix) { "" } else { &self.prefix };
        format!("https://{}{prefix}{rest}", self.host)
    }

    /// A tag with its links rewritten; none: it has none that change.
    fn tag(&self, tag: &str) -> Option<String> {
        let inner = tag.strip_prefix('<')?.strip_suffix('>')?;
        let end = inner.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inner.len());
        let name = inner[..end].to_ascii_lowercase();
        let (_, attributes) = LINKS.iter().find(|(tag, _)| *tag == name)?;
        let mut out = format!("<{}", &inner[..end]);
        let mut rest = &inner[end..];
        let mut changed = false;
        while let Some(next) = Attribute::parse(rest) {
            let link = next.value.filter(|_| attributes.iter().any(|name| next.name.eq_ignore_ascii_case(name)));
            let rewritten = link.map(|link| self.rewrite(&link.replace("&amp;", "&")).replace('&', "&amp;"));
            match rewritten.filter(|new| Some(new.as_str()) != link) {
                Some(new) => {
                    changed = true;
                    out.push_str(&format!("{}{}=\"{}\"", next.before, next.name, new.replace('"', "&#34;")));
                }
                None => out.push_str(&rest[..next.length]),
            }
            rest = &rest[next.length..];
        }
        out.push_str(rest);
        out.push('>');
        changed.then_some(out)
    }
}

/// One attribute at the beginning of what is left of a tag.
struct Attribute<'t> {
    before: &'t str,
    name: &'t str,
    value: Option<&'t str>,
    length: usize,
}

impl<'t> Attribute<'t> {
    fn parse(text: &'t str) -> Option<Attribute<'t>> {
        let space = |c: char| c.is_ascii_whitespace() || c == '/';
        let start = text.find(|c| !space(c))?;
        let name_end = text[start..].find(|c| space(c) || c == '=').map_or(text.len(), |at| start + at);
        // A name may be a lone sign: it is passed over.
        let name_end = if name_end == start { start + 1 } else { name_end };
        let plain =
            |length| Some(Attribute { before: &text[..start], name: &text[start..name_end], value: None, length });
        let after = text[name_end..].trim_start();
        let Some(given) = after.strip_prefix('=').map(str::trim_start) else { return plain(name_end) };
        let value_start = text.len() - given.len();
        let (value, length) = match given.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let value = &given[1..];
                let end = value.find(quote).unwrap_or(value.len());
                (&value[..end], (value_start + end + 2).min(text.len()))
            }
            _ => {
                let end = given.find(|c: char| c.is_ascii_whitespace()).unwrap_or(given.len());
                (&given[..end], value_start + end)
            }
        };
        Some(Attribute { before: &text[..start], name: &text[start..name_end], value: Some(value), length })
    }
}

/// A page on its way.
struct Page {
    rewriter: Rewriter,
    kept: BytesMut,
    /// The tag whose raw text is being passed.
    raw: Option<&'static str>,
}

impl Page {
    fn new(rewriter: Rewriter) -> Page {
        Page { rewriter, kept: BytesMut::new(), raw: None }
    }

    /// What can be sent of the page when more of it has come.
    fn more(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.kept.extend_from_slice(chunk);
        let mut out = Vec::with_capacity(self.kept.len());
        while let Some((bytes, replaced)) = self.next_piece() {
            let piece = self.kept.split_to(bytes);
            match replaced {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => out.extend_from_slice(&piece),
            }
        }
        out
    }

    fn rest(self) -> Bytes {
        self.kept.freeze()
    }

    /// How much to take from what was kept, and what to send in its place; none: wait for more.
    fn next_piece(&mut self) -> Option<(usize, Option<String>)> {
        let kept = &self.kept[..];
        if kept.is_empty() {
            return None;
        }
        let begin = if self.raw.is_some() { b"</".as_slice() } else { b"<" };
        match find(kept, begin) {
            Some(0) => {}
            Some(at) => return Some((at, None)),
            // The end of the raw text may be cut here.
            None if self.raw.is_some() && kept.ends_with(b"<") => {
                return (kept.len() > 1).then(|| (kept.len() - 1, None));
            }
            None => return Some((kept.len(), None)),
        }
        if kept.starts_with(b"<!--") {
            return match find(&kept[4..], b"-->") {
                Some(end) => Some((end + 7, None)),
                None => (kept.len() > TAG_BYTES_MAX).then(|| (kept.len() - 2, None)),
            };
        }
        // A sign that begins no tag is text.
        let next = *kept.get(1)?;
        if !next.is_ascii_alphabetic() && !b"/!?".contains(&next) {
            return Some((1, None));
        }
        let Some(end) = tag_end(kept) else { return (kept.len() > TAG_BYTES_MAX).then_some((1, None)) };
        let tag = std::str::from_utf8(&kept[..end]).ok();
        let name = tag.map(|tag| tag.trim_start_matches(['<', '/']).to_ascii_lowercase()).unwrap_or_default();
        let named = RAW.iter().find(|raw| {
            name.strip_prefix(**raw).is_some_and(|rest| rest.starts_with(|c: char| !c.is_ascii_alphanumeric()))
        });
        let closes = kept.starts_with(b"</");
        match self.raw {
            Some(raw) if named != Some(&raw) || !closes => return Some((2, None)),
            _ => self.raw = named.copied().filter(|_| !closes),
        }
        Some((end, tag.and_then(|tag| self.rewriter.tag(tag))))
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Where the tag ends that begins here; a `>` in quotes does not end it.
fn tag_end(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut before = b' ';
    for (at, byte) in text.iter().enumerate() {
        match (quote, *byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, byte @ (b'"' | b'\'')) if before == b'=' => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
    }
    None
}

/// Whether pages in this encoding are rewritten.
pub(super) fn knows(encoding: Option<&str>) -> bool {
    matches!(encoding, None | Some("" | "gzip"))
}

/// The page with its links led through the proxy; one in an encoding that is not known stays.
pub(super) fn rewritten(page: Body, encoding: Option<&str>, rewriter: Rewriter) -> Body {
    match encoding {
        None | Some("") => plain(page, rewriter),
        Some("gzip") => {
            let whole = async move { zipped(page, rewriter).await };
            body::stream(futures::stream::once(whole))
        }
        Some(_) => page,
    }
}

fn plain(page: Body, rewriter: Rewriter) -> Body {
    let chunks = page.into_data_stream().map(Some).chain(futures::stream::once(async { None }));
    let sent = chunks.scan(Some(Page::new(rewriter)), |page, chunk| {
        let piece = match chunk {
            Some(Ok(chunk)) => page.as_mut().map(|page| Ok(Bytes::from(page.more(&chunk)))),
            Some(Err(error)) => Some(Err(error)),
            None => page.take().map(|page| Ok(page.rest())),
        };
        futures::future::ready(piece)
    });
    body::stream(sent.filter(|piece| futures::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty()))))
}

/// A compressed page is read as a whole.
async fn zipped(page: Body, rewriter: Rewriter) -> Result<Bytes, BodyError> {
    let mut chunks = page.into_data_stream();
    let mut page = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) if page.len() + chunk.len() <= COMPRESSED_BYTES_MAX => page.extend_from_slice(&chunk),
            Ok(_) => return Err(BodyError::from("a compressed page is too large to lead its links through the proxy")),
            Err(error) => return Err(error),
        }
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(&page[..]).take(PLAIN_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > PLAIN_BYTES_MAX {
        return Err(format!("a compressed page is larger than {PLAIN_BYTES_MAX} bytes").into());
    }
    let mut reader = Page::new(rewriter);
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(&reader.more(&text))?;
    out.write_all(&reader.rest())?;
    Ok(out.finish()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter() -> Rewriter {
        Rewriter { host: "k8s:6443".to_owned(), backend: "10.0.0.1:80".to_owned(), prefix: "/p/proxy".to_owned() }
    }

    #[test]
    fn links_of_the_backend_get_the_prefix() {
        for (link, want) in [
            ("/a?b=c#d", "https://k8s:6443/p/proxy/a?b=c#d"),
            ("http://10.0.0.1:80/a/", "https://k8s:6443/p/proxy/a/"),
            ("//k8s:6443/a", "https://k8s:6443/p/proxy/a"),
            ("/p/proxy/a", "https://k8s:6443/p/proxy/a"),
            ("a/b", "a/b"),
            ("#top", "#top"),
            ("https://elsewhere/a", "https://elsewhere/a"),
            ("mailto:x@y", "mailto:x@y"),
        ] {
            assert_eq!(rewriter().rewrite(link), want);
        }
    }

    #[test]
    fn only_links_in_tags_change_however_the_page_is_cut() {
        let page = "<!DOCTYPE html><html><!-- <a href=\"/no\"> --><A class=x HREF='/a?b&amp;c' >t</A> 1 < 2 <img src=/i.png alt=\">\"/>\
                    <script>if (a<b) x = '<a href=\"/no\">'</script><p href=\"/no\">\u{fc}</p><a href=\"b\">";
        let want = "<!DOCTYPE html><html><!-- <a href=\"/no\"> --><A class=x HREF=\"https://k8s:6443/p/proxy/a?b&amp;c\" >t</A> 1 < 2 <img src=\"https://k8s:6443/p/proxy/i.png\" alt=\">\"/>\
                    <script>if (a<b) x = '<a href=\"/no\">'</script><p href=\"/no\">\u{fc}</p><a href=\"b\">";
        for size in [1, 2, 7, page.len()] {
            let mut reader = Page::new(rewriter());
            let mut out: Vec<u8> = page.as_bytes().chunks(size).flat_map(|chunk| reader.more(chunk)).collect();
            out.extend_from_slice(&reader.rest());
            assert_eq!(String::from_utf8(out).unwrap(), want, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn compressed_pages_change_too() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"<a href=\"/a\">").unwrap();
        let page = body::full(gzip.finish().unwrap());
        let sent = rewritten(page, Some("gzip"), rewriter()).collect().await.unwrap().to_bytes();
        let mut text = String::new();
        MultiGzDecoder::new(&sent[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "<a href=\"https://k8s:6443/p/proxy/a\">");
    }
}
