//! Values of Kubernetes' libraries, of which expressions see nothing but what functions say of them: how they are read
//! from texts, compared and printed. Not here: the functions (`library`).

pub(super) mod address;
pub(super) mod named_format;
pub(super) mod quantity;
pub(super) mod semver;
pub(super) mod url;
