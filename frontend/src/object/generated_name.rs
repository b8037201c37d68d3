//! Names that the server makes up.

/// Characters of generated names: no vowels, nothing that reads like another.
const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const RANDOM_LENGTH: usize = 5;
const GENERATED_BASE_MAX: usize = 63 - RANDOM_LENGTH;

/// A name that is most likely free, made of a generateName.
pub(crate) fn generate_name(base: &str) -> String {
    let mut cut = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut name = base[..cut].to_owned();
    for _ in 0..RANDOM_LENGTH {
        name.push(char::from(RANDOM[rand::random_range(0..RANDOM.len())]));
    }
    name
}
