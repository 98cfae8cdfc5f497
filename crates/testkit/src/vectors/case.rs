//! One case of a file: typed access to its fields, comparisons, and what was found.

use std::collections::BTreeSet;

use serde_json::Value;

/// Why a case does not pass, in words.
pub(crate) type Fault = String;

/// A case under check.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) value: &'a Value,
    faults: Vec<Fault>,
    not_covered: BTreeSet<String>,
    compared: usize,
}

impl<'a> Case<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        Self { value, faults: Vec::new(), not_covered: BTreeSet::new(), compared: 0 }
    }

    /// Fails the case.
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn first_fault(&self) -> Option<&str> {
        self.faults.first().map(String::as_str)
    }

    /// Notes a part that nothing here knows.
    pub(crate) fn not_covered(&mut self, what: impl Into<String>) {
        self.not_covered.insert(what.into());
    }

    pub(crate) fn into_not_covered(self) -> BTreeSet<String> {
        self.not_covered
    }

    /// Comparisons made so far.
    pub(crate) fn compared(&self) -> usize {
        self.compared
    }

    /// Fails the case unless `holds`.
    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds {
            self.faults.push(what());
        }
    }

    /// Fails the case unless `found` is within `tolerance` of `expected`, relative where that is above 1.
    pub(crate) fn close(&mut self, what: &str, found: f64, expected: f64, tolerance: f64) {
        let same = found == expected || (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        self.check(same, || format!("{what} is {found}, recorded {expected}"));
    }

    /// Compares value by value.
    pub(crate) fn all_close<T: Copy + Into<f64>>(
        &mut self,
        what: &str,
        found: &[T],
        expected: &[f64],
        tolerance: f64,
    ) {
        if found.len() != expected.len() {
            self.check(false, || format!("{what} has {} values, recorded {}", found.len(), expected.len()));
            return;
        }
        for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
            let f: f64 = f.into();
            let same = f == e || (f - e).abs() <= tolerance * e.abs().max(1.0);
            self.check(same, || format!("{what}[{i}] is {f}, recorded {e}"));
        }
    }
}

/// Field `name` of an object.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, Fault> {
    value.get(name).ok_or_else(|| format!("field `{name}` is missing"))
}

/// A finite number.
pub(crate) fn number(value: &Value, name: &str) -> Result<f64, Fault> {
    as_number(field(value, name)?).ok_or_else(|| format!("field `{name}` is not a number"))
}

/// A count that fits memory.
pub(crate) fn count(value: &Value, name: &str) -> Result<usize, Fault> {
    let n = field(value, name)?.as_u64().filter(|&n| n < 1 << 32);
    n.map(|n| n as usize).ok_or_else(|| format!("field `{name}` is not a count"))
}

/// A list of numbers.
pub(crate) fn numbers(value: &Value, name: &str) -> Result<Vec<f64>, Fault> {
    as_numbers(field(value, name)?).ok_or_else(|| format!("field `{name}` is not a list of numbers"))
}

/// A list of numbers of this length.
pub(crate) fn numbers_of(value: &Value, name: &str, n: usize) -> Result<Vec<f64>, Fault> {
    let list = numbers(value, name)?;
    match list.len() == n {
        true => Ok(list),
        false => Err(format!("field `{name}` has {} numbers, {n} belong there", list.len())),
    }
}

/// A list of bools of this length.
pub(crate) fn bools_of(value: &Value, name: &str, n: usize) -> Result<Vec<bool>, Fault> {
    let list = field(value, name)?.as_array();
    let list: Option<Vec<bool>> = list.and_then(|l| l.iter().map(Value::as_bool).collect());
    list.filter(|l| l.len() == n).ok_or_else(|| format!("field `{name}` is not a list of {n} bools"))
}

/// A list of indices below `below`.
pub(crate) fn indices(value: &Value, name: &str, below: usize) -> Result<Vec<usize>, Fault> {
    let list = field(value, name)?.as_array();
    let index = |v: &Value| v.as_u64().filter(|&i| i < below as u64).map(|i| i as usize);
    let list: Option<Vec<usize>> = list.and_then(|l| l.iter().map(index).collect());
    list.ok_or_else(|| format!("field `{name}` is not a list of indices below {below}"))
}

/// A table of numbers, row-major, with its rows and columns.
pub(crate) fn table(value: &Value, name: &str) -> Result<(Vec<f64>, usize, usize), Fault> {
    let fault = || format!("field `{name}` is not a table of numbers");
    let rows = field(value, name)?.as_array().ok_or_else(fault)?;
    let rows: Option<Vec<Vec<f64>>> = rows.iter().map(as_numbers).collect();
    let rows = rows.ok_or_else(fault)?;
    let width = rows.first().map_or(0, Vec::len);
    match rows.iter().all(|row| row.len() == width) {
        true => Ok((rows.concat(), rows.len(), width)),
        false => Err(fault()),
    }
}

/// A table of this shape.
pub(crate) fn table_of(value: &Value, name: &str, rows: usize, columns: usize) -> Result<Vec<f64>, Fault> {
    let (values, r, c) = table(value, name)?;
    match (r, c) == (rows, columns) {
        true => Ok(values),
        false => Err(format!("field `{name}` is [{r}, {c}], [{rows}, {columns}] belongs there")),
    }
}

/// Nested lists of numbers, row-major, with their lengths from the outside in.
pub(crate) fn tensor<const D: usize>(value: &Value, name: &str) -> Result<(Vec<f64>, [usize; D]), Fault> {
    let fault = || format!("field `{name}` is not a tensor of {D} dimensions");
    let (mut dims, mut lists) = ([0; D], vec![field(value, name)?]);
    for dim in &mut dims {
        let inner: Option<Vec<&Vec<Value>>> = lists.iter().map(|list| list.as_array()).collect();
        let inner = inner.ok_or_else(fault)?;
        *dim = inner.first().map_or(0, |list| list.len());
        if *dim == 0 || inner.iter().any(|list| list.len() != *dim) {
            return Err(fault());
        }
        lists = inner.into_iter().flatten().collect();
    }
    let numbers: Option<Vec<f64>> = lists.into_iter().map(as_number).collect();
    Ok((numbers.ok_or_else(fault)?, dims))
}

/// A tensor of this shape.
pub(crate) fn tensor_of<const D: usize>(
    value: &Value,
    name: &str,
    dims: [usize; D],
) -> Result<Vec<f64>, Fault> {
    let (values, found) = tensor(value, name)?;
    match found == dims {
        true => Ok(values),
        false => Err(format!("field `{name}` is {found:?}, {dims:?} belongs there")),
    }
}

/// A text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Fault> {
    field(value, name)?.as_str().ok_or_else(|| format!("field `{name}` is not a text"))
}

/// The same numbers in f32.
pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// JSON cannot hold numbers that are not finite, so every number is; f32 must hold it too.
fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|v| v.is_finite() && v.abs() < 1e30)
}

fn as_numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(as_number).collect()
}
