use super::*;

fn json(yaml: &str) -> Result<String, String> {
    yaml_to_json(yaml.as_bytes()).map(|read| String::from_utf8(read.json).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn texts_mean_what_they_mean_in_yaml_1_1() {
    for (yaml, expected) in [
        ("", "null"),
        ("---\n...\n", "null"),
        ("a: y", r#"{"a":true}"#),
        ("n: 1", r#"{"false":1}"#),
        ("a: 'y'", r#"{"a":"y"}"#),
        ("a: tRue", r#"{"a":"tRue"}"#),
        ("a: 0644\nb: 0x1F\nc: 0b11\nd: 0o17\ne: 1_000\nf: 08", r#"{"a":420,"b":31,"c":3,"d":15,"e":1000,"f":8}"#),
        ("a: 1.5\nb: ~\nc: 1e3\nd: 1E400\ne: .5", r#"{"a":1.5,"b":null,"c":1000,"d":"1E400","e":0.5}"#),
        ("a: 2001-12-14t21:59:43.10-05:00", r#"{"a":"2001-12-14t21:59:43.10-05:00"}"#),
        ("a: x\n---\nb: y\n", r#"{"a":"x"}"#),
        ("- 1\n- [a, {b: c}, d: e]\n", r#"[1,["a",{"b":"c"},{"d":"e"}]]"#),
        ("b: 1\na: 2\nb: 3", r#"{"a":2,"b":3}"#),
        ("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  l: 2", r#"{"a":{"k":1},"b":{"k":1},"c":{"k":1,"l":2}}"#),
        ("a: |\n  x\n   y\n\n  z\n\nb: >-\n  x\n  y\n\n  z\n", r#"{"a":"x\n y\n\nz\n","b":"x y\nz"}"#),
        ("a: \"x\\\n    y\\u0041 \\\n  z\"", r#"{"a":"xyA z"}"#),
        ("a: 'it''s\n\n  so'", r#"{"a":"it's\nso"}"#),
        ("a: plain\n  goes on # comment\nb:\n- x\n-\n- z", r#"{"a":"plain goes on","b":["x",null,"z"]}"#),
        ("? long key\n: v\n? none", r#"{"long key":"v","none":null}"#),
        ("a: !!str 1\nb: !!float 1\nc: !!binary aGk=\nd: !own x", r#"{"a":"1","b":1,"c":"hi","d":"x"}"#),
        ("%YAML 1.1\n%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 5", r#"{"a":"5"}"#),
        ("1.5: a\n123456789012345678901: b\n.inf: c", r#"{".inf":"c","1.2345679e+20":"b","1.5":"a"}"#),
    ] {
        assert_eq!(json(yaml).as_deref(), Ok(expected), "{yaml}");
    }
}

#[test]
fn refusals_are_those_of_go() {
    for (yaml, expected) in [
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("a:\n\tb: c\n", "yaml: line 2: found character that cannot start any token"),
        ("a: {x: 1\nb: 2\n", "yaml: line 1: did not find expected ',' or '}'"),
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context"),
        ("x: 1\n  y: 2", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: - b", "yaml: block sequence entries are not allowed in this context"),
        ("a: *nope", "yaml: unknown anchor 'nope' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("a: \u{7}", "yaml: control characters are not allowed"),
        ("a: \"\\q\"", "yaml: found unknown escape character"),
        ("a: 'x", "yaml: found unexpected end of stream"),
        ("%YAML 1.2\n---\na: b", "yaml: found incompatible YAML document"),
        ("%FOO\n---\na: b", "yaml: found unknown directive name"),
        ("...\na: b", "yaml: did not find expected node content"),
        ("a: .inf", "json: unsupported value: +Inf"),
        ("~: c", "unsupported map key of type: %!s(<nil>), key: <nil>, value: \"c\""),
        ("? {a: b}\n: c", "yaml: invalid map key: map[interface {}]interface {}{\"a\":\"b\"}"),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
        ("a: !x!y z", "yaml: found undefined tag handle"),
        ("<<: 1", "yaml: map merge requires map or sequence of maps as the value"),
    ] {
        assert_eq!(json(yaml), Err(expected.to_owned()), "{yaml}");
    }
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &"bcdefgh".chars().fold((String::new(), 'a'), |(text, last), name| {
            (format!("{text}{name}: &{name} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n"), name)
        }).0;
    assert_eq!(json(&laughs), Err("yaml: document contains excessive aliasing".to_owned()));
    assert_eq!(json(&"[".repeat(100_000)), Err("yaml: exceeded max depth of 10000".to_owned()));
}

#[test]
fn repeated_keys_are_named_with_the_lines_of_their_values() {
    let read = yaml_to_json(b"a:\n  k: 1\n  k: 2\ntrue: 1\nyes:\n  2\n").unwrap();
    let repeated = read.repeated.unwrap();
    let expected = ["line 3: key \"k\" already set in map", "line 6: key true already set in map"];
    assert_eq!(repeated.warnings(), expected);
    assert_eq!(repeated.to_string(), format!("yaml: unmarshal errors:\n  {}\n  {}", expected[0], expected[1]));
}

#[test]
fn texts_are_quoted_and_folded_as_by_go() {
    let long = "words ".repeat(20);
    let long = long.trim_end();
    for (json, expected) in [
        (
            r#"{"a":"y","b":"1","c":"","d":"x: y","e":"- x"}"#.to_owned(),
            "a: \"y\"\nb: \"1\"\nc: \"\"\nd: 'x: y'\ne: '- x'\n".to_owned(),
        ),
        (
            r#"{"a":"10.0.0.1:6443","b":"12:30","c":"2001-01-01","d":"<<"}"#.to_owned(),
            "a: 10.0.0.1:6443\nb: \"12:30\"\nc: \"2001-01-01\"\nd: <<\n".to_owned(),
        ),
        (
            r#"{"k":[[1,2],{"a":[]},{}],"n":1234567.5,"m":1e21}"#.to_owned(),
            "k:\n- - 1\n  - 2\n- a: []\n- {}\nm: 1e+21\n\"n\": 1.2345675e+06\n".to_owned(),
        ),
        (
            r#"{"a":"l1\nl2\n","b":"l1\n\n","c":" l1\nl2","d":"l1 \nl2"}"#.to_owned(),
            "a: |\n  l1\n  l2\nb: |+\n  l1\n\nc: |2-\n   l1\n  l2\nd: \"l1 \\nl2\"\n".to_owned(),
        ),
        ("{\"a\":\"\u{feff}x\"}".to_owned(), "a: \"\\uFEFF\\x78\"\n".to_owned()),
        ("{\"a\":\"\u{1f600}\\t\"}".to_owned(), "a: \"\\U0001F600\\t\"\n".to_owned()),
        (r#"{"a10":1,"a9":2,"a09":3,"B":4}"#.to_owned(), "B: 4\na9: 2\na09: 3\na10: 1\n".to_owned()),
        (
            format!("{{\"a\":\"{long}\"}}"),
            format!("a: {}\n  {}\n", "words ".repeat(14).trim_end(), "words ".repeat(6).trim_end()),
        ),
    ] {
        let mut yaml = Vec::new();
        json_to_yaml(json.as_bytes(), &mut yaml);
        assert_eq!(String::from_utf8(yaml).unwrap(), expected, "{json}");
    }
}

#[test]
fn what_was_printed_reads_back() {
    let cases = [
        r#"{"a":"true","b":"1","c":"","d":"x: y","e":"l1\nl2\n","f":"- x","g":null,"h":[],"i":{},"j":1.5}"#,
        r#"{"a":[{"b":[1,2]},{"c":{"d":"\u0007"}}],"z":"tab\there","quote":"it's","hash":"a #b"}"#,
        r#"{"a":" lead","b":"trail ","c":"x\n\n","d":"\n x","e":"a\r\nb","f":"? q","g":"...","h":"0o17"}"#,
    ];
    for case in cases {
        let mut yaml = Vec::new();
        json_to_yaml(case.as_bytes(), &mut yaml);
        let back = yaml_to_json(&yaml).unwrap().json;
        let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
        assert_eq!(value(&back), value(case.as_bytes()), "{}", String::from_utf8_lossy(&yaml));
    }
}
