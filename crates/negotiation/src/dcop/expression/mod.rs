//! Expressions and small functions in the subset of Python that constraint files use, compiled to a list of
//! instructions without loops: every evaluation ends, after at most as many steps as the text has tokens.
//!
//! Read: numbers, texts, `True`, `False`, `None`, names; `A if C else B`; `or`, `and`, `not`; chains of
//! comparisons, `in` and `not in` a list, tuple or text; `| ^ & << >>`, `+ - * / // % **`; calls of `abs`, `round`,
//! `min`, `max`, `sum`, `any`, `all`, `len`, `pow`, `int`, `float`, `bool`, `str`. A text with a `return` is the body of a
//! function: `if`, `elif`, `else`, assignments to names, `pass`, `return`.
//!
//! Meaning is Python's: `round` to the even neighbor, `//` and `%` toward the floor, `1 == True`. Where Python's whole
//! numbers would leave 64 bits, this is an error. Not read: loops, attributes, indexing, lambdas, imports.

mod compile;
mod lexer;
mod machine;

pub use compile::FUNCTIONS;

use super::value::Value;

/// What is wrong with an expression, and at which character of its text (from 0).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The character, from 0.
    pub offset: usize,
    /// What was expected and what was found.
    pub message: String,
}

impl Fault {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

/// A compiled expression or function body.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    code: Vec<machine::Op>,
    /// For each instruction the character it comes from.
    offsets: Vec<u32>,
    variables: Vec<String>,
    n_slots: usize,
}

impl Expression {
    /// Compiles a text. `is_variable` says which names stand for variables; other names must be assigned in the text.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn compile(text: &str, is_variable: &dyn Fn(&str) -> bool) -> Result<Self, Fault> {
        compile::compile(text, is_variable)
    }

    /// The variables that the text names, in the order of their first mention.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Computes the value for given values of [`variables`](Self::variables), in that order.
    ///
    /// # Errors
    /// Where Python would raise: division by zero, unlike types, a name without a value, no `return`.
    ///
    /// # Panics
    /// If the number of values differs from that of the variables.
    pub fn evaluate(&self, values: &[Value]) -> Result<Value, Fault> {
        assert_eq!(values.len(), self.variables.len(), "one value for each variable");
        machine::run(self, values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compile(text: &str) -> Result<Expression, Fault> {
        Expression::compile(text, &|name| matches!(name, "x" | "y" | "v1"))
    }

    /// The value with x = 3, y = -2, v1 = 'R'.
    fn value(text: &str) -> Value {
        let expression = compile(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let values = |name: &String| match name.as_str() {
            "x" => Value::Int(3),
            "y" => Value::Int(-2),
            _ => Value::text("R"),
        };
        let values: Vec<Value> = expression.variables().iter().map(values).collect();
        expression.evaluate(&values).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn arithmetic_is_that_of_python() {
        let cases = [
            ("1 + 2 * 3 - 4", "3"),
            ("2 ** 3 ** 2", "512"),
            ("-2 ** 2", "-4"),
            ("2 ** -1", "0.5"),
            ("7 / 2", "3.5"),
            ("-7 // 2", "-4"),
            ("-7 % 3", "2"),
            ("7 % -3", "-2"),
            ("-7.5 // 2", "-4.0"),
            ("-7.5 % 2", "0.5"),
            ("1 - - 1", "2"),
            ("5 & 3 | 8 ^ 1", "9"),
            ("1 << 4 >> 1", "8"),
            ("~5", "-6"),
            ("True + True", "2"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("'a' + 'b'", "ab"),
            ("(1 + 2) * 3", "9"),
            ("1e3", "1000.0"),
            ("1_000", "1000"),
            (".5 + 5.", "5.5"),
            ("0x1f", "31"),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn functions_are_those_of_python() {
        let cases = [
            ("round(0.5)", "0"),
            ("round(1.5)", "2"),
            ("round(2.5)", "2"),
            ("round(-0.5)", "0"),
            ("round(2.675, 2)", "2.67"),
            ("round(0.125, 2)", "0.12"),
            ("round(25, -1)", "20"),
            ("round(35, -1)", "40"),
            ("round(True)", "1"),
            ("abs(-3.5) + abs(-2)", "5.5"),
            ("min(3, 1, 2)", "1"),
            ("max([3, 1, 2])", "3"),
            ("max(1, 1.0)", "1"),
            ("sum((1, 2, 3))", "6"),
            ("sum([])", "0"),
            ("len('abc') + len([1, 2])", "5"),
            ("any([0, 1]) and all((1, 2))", "True"),
            ("int(-2.7)", "-2"),
            ("int('12') + float('.5')", "12.5"),
            ("float('inf')", "inf"),
            ("pow(2, 5)", "32"),
            ("str(1) + str(2.0) + str(True)", "12.0True"),
            ("bool(0)", "False"),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn logic_and_comparisons_are_those_of_python() {
        let cases = [
            ("1 if x > y else 0", "1"),
            ("1 if x < y else 2 if x == 3 else 4", "2"),
            ("y < x < 4", "True"),
            ("y < x < 2 < 1 / 0", "False"),
            ("1 == 1.0 == True", "True"),
            ("0 or 'a'", "a"),
            ("0 and 1 / 0", "0"),
            ("1 or 1 / 0", "1"),
            ("not x == 3", "False"),
            ("x in [1, 3]", "True"),
            ("x not in (1, 2)", "True"),
            ("'b' in 'abc'", "True"),
            ("v1 in ['R', 'G']", "True"),
            ("v1 != x", "True"),
            ("v1 == 'R' and 1 or 2", "1"),
            ("x is not None", "True"),
            ("(1 if x else 2) if (0 if x else 1) else (3 if y else 4)", "3"),
            ("'it''s'", "its"),
            ("\"R\" == v1", "True"),
            ("10000 if v1 == 'R' else 0", "10000"),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn bodies_of_functions_run() {
        let body = "if x == 2:\n    b = 4\nelif x == 3:\n    if y < 0: b = 7; c = 1\n    b += 1\nelse:\n    pass\n# said\n\nreturn b + x\n";
        assert_eq!(value(body).to_string(), "11");
        assert_eq!(compile(body).unwrap().variables(), ["x", "y"]);
        assert_eq!(value("return (x +\n  1)").to_string(), "4");
        assert_eq!(value("x = x + 1\nreturn x").to_string(), "4");
        assert_eq!(value("x + \n1\n").to_string(), "4");
    }

    #[test]
    fn faults_name_their_place() {
        let cases = [
            ("1 +", 3, "expected a value"),
            ("1 + * 2", 4, "expected a value"),
            ("(1", 2, "expected `)`"),
            ("x if y", 6, "expected `else`"),
            ("foo(1)", 0, "expected a function"),
            ("rond(1)", 0, "did you mean `round`"),
            ("zz + 1", 0, "unknown name `zz`"),
            ("x $ 2", 2, "`$`"),
            ("'abc", 0, "closing quote"),
            ("x.y", 1, "expected"),
            ("x[0]", 1, "expected"),
            ("99999999999999999999", 0, "64 bits"),
            ("abs(1, 2)", 0, "1 argument"),
            ("[1, 2]", 0, "list"),
            ("[1] + [2]", 0, "list"),
            ("while x:\n  return 1", 0, "loop"),
            ("if x:\nreturn 1", 6, "indented"),
            ("return 1\n  return 2", 11, "indent"),
            ("", 0, "expected"),
            ("lambda: 1", 0, "lambda"),
            ("x = 1", 2, "expected"),
        ];
        for (text, offset, part) in cases {
            let fault = compile(text).expect_err(text);
            assert!(fault.message.contains(part), "{text}: {fault}");
            assert_eq!(fault.offset, offset, "{text}: {fault}");
        }
        let run = |text: &str| {
            let expression = compile(text).unwrap();
            expression.evaluate(&vec![Value::Int(0); expression.variables().len()]).expect_err(text)
        };
        assert_eq!(run("1 + 1 / x"), Fault::new(6, "division by zero"));
        assert!(run("x < 'a'").message.contains("an int and a str"));
        assert!(run("9223372036854775807 + 1").message.contains("64 bits"));
        assert!(run("2 ** 64").message.contains("64 bits"));
        assert!(run("1 << 70").message.contains("64 bits"));
        assert!(run("if x: return 1").message.contains("return"));
        assert!(run("if x: b = 1\nreturn b").message.contains("no value yet"));
        assert!(run("(-8) ** 0.5").message.contains("complex"));
        assert!(run("round(float('nan'))").message.contains("whole number"));
    }

    #[test]
    fn depth_is_bounded() {
        for text in
            ["(".repeat(100_000), "-".repeat(100_000), "not ".repeat(100_000), "1 if 1 else ".repeat(10_000)]
        {
            assert!(compile(&text).is_err());
        }
        let sum = "1+".repeat(50_000) + "1";
        assert_eq!(value(&sum), Value::Int(50_001));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~\\n]{0,60}") {
            if let Ok(expression) = compile(&text) {
                let _ = expression.evaluate(&vec![Value::Int(2); expression.variables().len()]);
            }
        }

        #[test]
        fn no_sentence_panics(words in proptest::collection::vec(
            prop_oneof![
                Just("x"), Just("1"), Just("0.5"), Just("'a'"), Just("if"), Just("else"), Just("and"), Just("not"),
                Just("in"), Just("("), Just(")"), Just("["), Just("]"), Just(","), Just("<"), Just("=="), Just("+"),
                Just("-"), Just("**"), Just("//"), Just("%"), Just("round("), Just("min("), Just("return"),
                Just("\n"), Just("    "), Just(":"), Just("="), Just("b"),
            ], 0..24)
        ) {
            let text = words.join(" ");
            if let Ok(expression) = compile(&text) {
                let _ = expression.evaluate(&vec![Value::Int(2); expression.variables().len()]);
            }
        }

        /// Floor division and remainder fit together as Python promises.
        #[test]
        fn division_and_remainder_fit(a in -1000_i64..1000, b in -50_i64..50) {
            prop_assume!(b != 0);
            let text = format!("({a}) // ({b}) * ({b}) + ({a}) % ({b})");
            prop_assert_eq!(value(&text), Value::Int(a));
            let Value::Int(remainder) = value(&format!("({a}) % ({b})")) else { panic!() };
            prop_assert!(remainder == 0 || (remainder < 0) == (b < 0));
        }
    }
}
