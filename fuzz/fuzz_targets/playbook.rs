//! A playbook is read or refused, and what is said about it can be shown.
#![no_main]

use gsctl::testing::{Loader, Sources};
use indexmap::IndexMap;
use libfuzzer_sys::fuzz_target;

struct One<'a>(&'a str);

impl Sources for One<'_> {
    fn playbook(&self, name: &str) -> std::io::Result<String> {
        if name == "my.yaml" { Ok(self.0.to_owned()) } else { Err(std::io::ErrorKind::NotFound.into()) }
    }

    fn script(&self, _: &str) -> std::io::Result<String> {
        Ok("#!/bin/sh\n".to_owned())
    }

    fn input(&self, _: &str) -> std::io::Result<Vec<u8>> {
        Ok(b"input".to_vec())
    }
}

fuzz_target!(|text: &str| {
    let loader = Loader { sources: &One(text), given: &IndexMap::new(), env: &|_| None, step_timeout: None };
    if let Err(problem) = loader.load("my.yaml") {
        assert!(!problem.to_string().is_empty());
    }
});
