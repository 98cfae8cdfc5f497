//! Runs compiled expressions: a stack machine whose jumps all go forward.

use std::cmp::Ordering;

use coact_core::math::pow_f64;

use super::{Expression, Fault};
use crate::dcop::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Minus,
    Plus,
    Not,
    Invert,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    And,
    Or,
    Xor,
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Round,
    Min,
    Max,
    Sum,
    Any,
    All,
    Len,
    Pow,
    Int,
    Float,
    Bool,
    Str,
}

/// Instructions. A jump names how many instructions it skips, so that code can be moved.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Push(Value),
    Load(usize),
    Store(usize),
    Unary(Unary),
    Binary(Binary),
    Compare(Comparison),
    /// `a b` to `b`, or to `False` and a jump: a link of a chain of comparisons.
    Chain(Comparison, usize),
    /// `x a b ...` to whether x is among the n others.
    Among {
        n: usize,
        negated: bool,
    },
    /// `a b` to whether text a is part of text b.
    Within {
        negated: bool,
    },
    Jump(usize),
    /// Takes the top; jumps where it is not true.
    JumpUnless(usize),
    /// Jumps and keeps the top where it is true (or not true); takes it otherwise.
    JumpKeeping {
        when: bool,
        skip: usize,
    },
    Call(Function, usize),
    /// The length of a list of n that was written out.
    Length(usize),
    Return,
    NoReturn,
}

pub(super) fn run(program: &Expression, values: &[Value]) -> Result<Value, Fault> {
    let mut slots: Vec<Option<Value>> = values.iter().cloned().map(Some).collect();
    slots.resize(program.n_slots, None);
    let mut stack: Vec<Value> = Vec::new();
    let mut at = 0;
    while let Some(op) = program.code.get(at) {
        let offset = program.offsets[at] as usize;
        let fault = |message: String| Fault::new(offset, message);
        at += 1;
        match op {
            Op::Push(value) => stack.push(value.clone()),
            Op::Load(slot) => match &slots[*slot] {
                Some(value) => stack.push(value.clone()),
                None => return Err(fault("this name has no value yet".into())),
            },
            Op::Store(slot) => slots[*slot] = stack.pop(),
            Op::Unary(op) => {
                let value = unary(*op, &top(&mut stack)).map_err(fault)?;
                stack.push(value);
            }
            Op::Binary(op) => {
                let (b, a) = (top(&mut stack), top(&mut stack));
                stack.push(binary(*op, &a, &b).map_err(fault)?);
            }
            Op::Compare(op) => {
                let (b, a) = (top(&mut stack), top(&mut stack));
                stack.push(Value::Bool(compare(*op, &a, &b).map_err(fault)?));
            }
            Op::Chain(op, skip) => {
                let (b, a) = (top(&mut stack), top(&mut stack));
                if compare(*op, &a, &b).map_err(fault)? {
                    stack.push(b);
                } else {
                    stack.push(Value::Bool(false));
                    at += skip;
                }
            }
            Op::Among { n, negated } => {
                let items = stack.split_off(stack.len() - n);
                let value = top(&mut stack);
                stack.push(Value::Bool(items.iter().any(|item| item.equals(&value)) != *negated));
            }
            Op::Within { negated } => {
                let (b, a) = (top(&mut stack), top(&mut stack));
                let (Value::Text(a), Value::Text(b)) = (&a, &b) else {
                    return Err(fault(format!(
                        "`in` needs a list or two texts, not {} and {}",
                        a.kind(),
                        b.kind()
                    )));
                };
                stack.push(Value::Bool(b.contains(&**a) != *negated));
            }
            Op::Jump(skip) => at += skip,
            Op::JumpUnless(skip) => {
                if !top(&mut stack).is_true() {
                    at += skip;
                }
            }
            Op::JumpKeeping { when, skip } => {
                if stack.last().is_some_and(Value::is_true) == *when {
                    at += skip;
                } else {
                    stack.pop();
                }
            }
            Op::Call(function, n) => {
                let arguments = stack.split_off(stack.len() - n);
                stack.push(call(*function, &arguments).map_err(fault)?);
            }
            Op::Length(n) => {
                stack.truncate(stack.len() - n);
                stack.push(Value::Int(*n as i64));
            }
            Op::Return => break,
            Op::NoReturn => return Err(fault("this way through the function ends without `return`".into())),
        }
    }
    Ok(top(&mut stack))
}

/// The compiler puts on the stack what it takes from it; `None` stands in for what cannot happen.
fn top(stack: &mut Vec<Value>) -> Value {
    stack.pop().unwrap_or(Value::None)
}

fn unlike(sign: &str, a: &Value, b: &Value) -> String {
    format!("`{sign}` cannot take {} and {}", a.kind(), b.kind())
}

const TOO_LARGE: &str = "the result is no whole number within 64 bits";

fn unary(op: Unary, value: &Value) -> Result<Value, String> {
    let whole = value.whole();
    match (op, whole) {
        (Unary::Not, _) => Ok(Value::Bool(!value.is_true())),
        (Unary::Plus, Some(value)) => Ok(Value::Int(value)),
        (Unary::Minus, Some(value)) => value.checked_neg().map(Value::Int).ok_or_else(|| TOO_LARGE.into()),
        (Unary::Invert, Some(value)) => Ok(Value::Int(!value)),
        (Unary::Invert, None) => Err(format!("`~` cannot take {}", value.kind())),
        (Unary::Plus | Unary::Minus, None) => match value.number() {
            Some(number) => Ok(Value::Float(if op == Unary::Minus { -number } else { number })),
            None => Err(format!("a sign cannot stand before {}", value.kind())),
        },
    }
}

fn compare(op: Comparison, a: &Value, b: &Value) -> Result<bool, String> {
    match op {
        Comparison::Equal => return Ok(a.equals(b)),
        Comparison::Unequal => return Ok(!a.equals(b)),
        _ => {}
    }
    let comparable =
        matches!((a, b), (Value::Text(_), Value::Text(_))) || (a.number().is_some() && b.number().is_some());
    if !comparable {
        return Err(unlike("<", a, b).replace("take", "compare"));
    }
    let order = a.compare(b);
    Ok(match op {
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn binary(op: Binary, a: &Value, b: &Value) -> Result<Value, String> {
    if let (Binary::Add, Value::Text(a), Value::Text(b)) = (op, a, b) {
        return Ok(Value::Text(format!("{a}{b}").into()));
    }
    if let (Some(a), Some(b)) = (a.whole(), b.whole()) {
        return whole(op, a, b);
    }
    let (Some(x), Some(y)) = (a.number(), b.number()) else { return Err(unlike(sign(op), a, b)) };
    match op {
        Binary::Add => Ok(x + y),
        Binary::Sub => Ok(x - y),
        Binary::Mul => Ok(x * y),
        Binary::Div | Binary::FloorDiv | Binary::Mod if y == 0.0 => Err("division by zero".into()),
        Binary::Div => Ok(x / y),
        Binary::FloorDiv => Ok(((x - float_mod(x, y)) / y).round()),
        Binary::Mod => Ok(float_mod(x, y)),
        Binary::Pow if x == 0.0 && y < 0.0 => Err("division by zero".into()),
        Binary::Pow if x < 0.0 && y.is_finite() && y != y.trunc() => {
            Err("the power is a complex number".into())
        }
        Binary::Pow => Ok(pow_f64(x, y)),
        _ => Err(unlike(sign(op), a, b)),
    }
    .map(Value::Float)
}

/// The remainder with the sign of the divisor.
fn float_mod(x: f64, y: f64) -> f64 {
    let rest = x % y;
    if rest != 0.0 && (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
}

fn whole(op: Binary, a: i64, b: i64) -> Result<Value, String> {
    let checked = match op {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div | Binary::FloorDiv | Binary::Mod if b == 0 => return Err("division by zero".into()),
        Binary::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Binary::FloorDiv => {
            a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
        }
        Binary::Mod => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        Binary::Pow if b < 0 && a == 0 => return Err("division by zero".into()),
        Binary::Pow if b < 0 => return Ok(Value::Float(pow_f64(a as f64, b as f64))),
        Binary::Pow => match u32::try_from(b) {
            Ok(b) => a.checked_pow(b),
            Err(_) => (a.abs() <= 1).then(|| if a < 0 && b % 2 != 0 { -1 } else { a.abs() }),
        },
        Binary::And => Some(a & b),
        Binary::Or => Some(a | b),
        Binary::Xor => Some(a ^ b),
        Binary::Left | Binary::Right if b < 0 => return Err("a shift by a negative number".into()),
        Binary::Left => {
            let shifted = u32::try_from(b).ok().and_then(|b| a.checked_shl(b));
            shifted.filter(|&shifted| shifted >> b == a)
        }
        Binary::Right => Some(a >> b.min(63)),
    };
    checked.map(Value::Int).ok_or_else(|| TOO_LARGE.into())
}

fn sign(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::FloorDiv => "//",
        Binary::Mod => "%",
        Binary::Pow => "**",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Left => "<<",
        Binary::Right => ">>",
    }
}

fn call(function: Function, arguments: &[Value]) -> Result<Value, String> {
    let first = arguments.first().unwrap_or(&Value::None);
    let wrong = |name: &str| format!("{name} cannot take {}", first.kind());
    match function {
        Function::Abs => match (first.whole(), first.number()) {
            (Some(value), _) => value.checked_abs().map(Value::Int).ok_or_else(|| TOO_LARGE.into()),
            (None, Some(value)) => Ok(Value::Float(value.abs())),
            _ => Err(wrong("abs")),
        },
        Function::Round => round(first, arguments.get(1)),
        Function::Min => extreme(arguments, Comparison::Less),
        Function::Max => extreme(arguments, Comparison::Greater),
        Function::Sum => {
            arguments.iter().try_fold(Value::Int(0), |sum, value| binary(Binary::Add, &sum, value))
        }
        Function::Any => Ok(Value::Bool(arguments.iter().any(Value::is_true))),
        Function::All => Ok(Value::Bool(arguments.iter().all(Value::is_true))),
        Function::Len => match first {
            Value::Text(text) => Ok(Value::Int(text.chars().count() as i64)),
            _ => Err(wrong("len")),
        },
        Function::Pow => binary(Binary::Pow, first, arguments.get(1).unwrap_or(&Value::None)),
        Function::Int => match first {
            Value::Text(text) => {
                text.trim().parse().map(Value::Int).map_err(|_| format!("'{text}' is no whole number"))
            }
            Value::Float(value) => whole_of(value.trunc()),
            _ => first.whole().map(Value::Int).ok_or_else(|| wrong("int")),
        },
        Function::Float => match first {
            Value::Text(text) => {
                text.trim().parse().map(Value::Float).map_err(|_| format!("'{text}' is no number"))
            }
            _ => first.number().map(Value::Float).ok_or_else(|| wrong("float")),
        },
        Function::Bool => Ok(Value::Bool(first.is_true())),
        Function::Str => Ok(Value::Text(first.to_string().into())),
    }
}

/// The first of the smallest or greatest.
fn extreme(values: &[Value], better: Comparison) -> Result<Value, String> {
    let (first, rest) = values.split_first().ok_or("min and max need at least one value")?;
    let choose = |best: Value, value: &Value| {
        Ok::<_, String>(if compare(better, value, &best)? { value.clone() } else { best })
    };
    rest.iter().try_fold(first.clone(), choose)
}

fn whole_of(value: f64) -> Result<Value, String> {
    if value.is_finite() && value.abs() < 9.2e18 {
        Ok(Value::Int(value as i64))
    } else {
        Err(TOO_LARGE.into())
    }
}

/// Half goes to the even neighbor, as in Python 3.
fn round(value: &Value, digits: Option<&Value>) -> Result<Value, String> {
    let wrong = || format!("round cannot take {}", value.kind());
    let digits = match digits {
        None | Some(Value::None) => None,
        Some(digits) => Some(digits.whole().ok_or("the second argument of round is a whole number")?),
    };
    match (value.whole(), digits) {
        (Some(whole), Some(digits)) if digits < 0 => {
            let Some(unit) = 10_i64.checked_pow(u32::try_from(-digits).unwrap_or(u32::MAX)) else {
                return Ok(Value::Int(0));
            };
            let (below, rest) = (whole.div_euclid(unit), whole.rem_euclid(unit));
            let half = rest.cmp(&(unit - rest));
            let up = half == Ordering::Greater || (half == Ordering::Equal && below % 2 != 0);
            (below + i64::from(up)).checked_mul(unit).map(Value::Int).ok_or_else(|| TOO_LARGE.into())
        }
        (Some(whole), _) => Ok(Value::Int(whole)),
        (None, None) => whole_of(value.number().ok_or_else(wrong)?.round_ties_even()),
        (None, Some(digits)) => {
            let number = value.number().ok_or_else(wrong)?;
            // More digits than a double has change nothing.
            if digits > 330 || !number.is_finite() {
                return Ok(Value::Float(number));
            }
            if digits < 0 {
                let unit = 10_f64.powi(i32::try_from(-digits).unwrap_or(i32::MAX));
                let rounded = (number / unit).round_ties_even() * unit;
                return Ok(Value::Float(if rounded.is_finite() { rounded } else { 0.0 }));
            }
            // Decimal writing rounds the exact binary value to even, which is what Python does.
            let text = format!("{number:.*}", digits as usize);
            text.parse().map(Value::Float).map_err(|_| wrong())
        }
    }
}
