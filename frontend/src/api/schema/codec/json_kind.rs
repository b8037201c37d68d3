//! Which kind a JSON text says it is, found before it is decoded.

use super::{
    DecodeError,
    json_text::{Cursor, Token},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// How far a text is read for its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// As soon as both names are there: all others are the same in what clients send.
    Both,
    /// Of names that come twice the last ones count.
    End,
}

/// apiVersion and kind, which may stand anywhere.
pub fn find_kind(bytes: &[u8], until: Until) -> Result<(String, String)> {
    let mut cursor = Cursor::new(bytes);
    let (mut api_version, mut kind) = (None, None);
    let token = cursor.token()?;
    if token != Token::Object {
        cursor.skip(0)?;
        cursor.end()?;
        let what = describe(token);
        let go_struct =
            r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
        return match token {
            Token::Null => Ok((String::new(), String::new())),
            _ => Err(DecodeError::Syntax(format!("json: cannot unmarshal {what} into Go value of type {go_struct}"))),
        };
    }
    let mut more = cursor.open(b'}');
    while more {
        let key = cursor.key()?;
        let target = match &*key {
            "apiVersion" => Some(&mut api_version),
            "kind" => Some(&mut kind),
            _ => None,
        };
        match (target, cursor.token()?) {
            (Some(target), Token::Str) => *target = Some(cursor.string()?.into_owned()),
            (Some(_), token) if token != Token::Null => {
                cursor.skip(0)?;
                let what = describe(token);
                return Err(DecodeError::Syntax(format!(
                    "json: cannot unmarshal {what} into Go struct field .{key} of type string"
                )));
            }
            _ => drop(cursor.skip(0)?),
        }
        if until == Until::Both && api_version.is_some() && kind.is_some() {
            break;
        }
        more = cursor.more(b'}')?;
    }
    Ok((api_version.unwrap_or_default(), kind.unwrap_or_default()))
}

pub(super) fn describe(token: Token) -> &'static str {
    match token {
        Token::Object => "object",
        Token::Array => "array",
        Token::Str => "string",
        Token::Number => "number",
        Token::Bool => "bool",
        Token::Null => "null",
    }
}
