//! Judgements of objects before they are stored, with the exact complaints of kube-apiserver.
//!
//! In: an object, and what it replaces. Out: a list of field errors. Not here: decoding errors (schema), admission.

pub mod names;
