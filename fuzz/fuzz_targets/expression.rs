//! Arbitrary texts as expressions: compiled or refused at a place inside the text, and computed without a panic.

#![no_main]

use coact_negotiation::dcop::Value;
use coact_negotiation::dcop::expression::Expression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let n_chars = text.chars().count();
    match Expression::compile(text, &|name| name.len() == 1) {
        Ok(expression) => {
            for value in [Value::Int(-3), Value::Float(0.5), Value::Bool(true), Value::text("a")] {
                let values = vec![value; expression.variables().len()];
                if let Err(fault) = expression.evaluate(&values) {
                    assert!(fault.offset <= n_chars);
                }
            }
        }
        Err(fault) => assert!(fault.offset <= n_chars, "{fault}"),
    }
});
