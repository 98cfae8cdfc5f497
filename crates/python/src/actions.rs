//! Actions from Python: any array or number that means one, checked before anything is stepped.

use coact_core::{ActionSpace, GroupSpec};
use numpy::ndarray::ArrayViewD;
use numpy::{Element, PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::fault::refuse;

/// Copies discrete actions `[E, A]` of any whole type into `to`.
///
/// # Errors
/// No array, another shape or type, an action outside the space.
pub fn read_discrete(
    group: &GroupSpec,
    n_envs: usize,
    given: &Bound<'_, PyAny>,
    to: &mut [u32],
) -> PyResult<()> {
    check_shape(group, &[n_envs, group.n_agents], given)?;
    macro_rules! from {
        ($($kind:ty),+) => {
            $(if let Some(result) = with_array::<$kind>(given, |view| copy_discrete(group, view, to)) {
                return result;
            })+
        };
    }
    from!(i64, i32, u32, u8, i8, u16, i16, u64);
    Err(wrong_type(group, given, "whole numbers, for example int64"))
}

/// Copies continuous actions `[E, A, W]` into `to`.
///
/// # Errors
/// No array, another shape or type. Bounds are for the environment to check.
pub fn read_continuous(
    group: &GroupSpec,
    n_envs: usize,
    given: &Bound<'_, PyAny>,
    to: &mut [f32],
) -> PyResult<()> {
    check_shape(group, &[n_envs, group.n_agents, group.action.n_continuous()], given)?;
    if let Some(result) = with_array::<f32>(given, |view| {
        to.iter_mut().zip(view.iter()).for_each(|(to, x)| *to = *x);
        Ok(())
    }) {
        return result;
    }
    let double = with_array::<f64>(given, |view| {
        to.iter_mut().zip(view.iter()).for_each(|(to, x)| *to = *x as f32);
        Ok(())
    });
    double.unwrap_or_else(|| Err(wrong_type(group, given, "float32 or float64")))
}

/// Hands the array to `read` if it holds numbers of type `T`.
fn with_array<T: Element>(
    given: &Bound<'_, PyAny>,
    read: impl FnOnce(ArrayViewD<'_, T>) -> PyResult<()>,
) -> Option<PyResult<()>> {
    let array = given.cast::<PyArrayDyn<T>>().ok()?;
    Some(match array.try_readonly() {
        Ok(array) => read(array.as_array()),
        Err(error) => Err(refuse(format!("actions cannot be read: {error}"))),
    })
}

fn copy_discrete<T: Copy + std::fmt::Display + TryInto<u32>>(
    group: &GroupSpec,
    view: ArrayViewD<'_, T>,
    to: &mut [u32],
) -> PyResult<()> {
    let n = group.action.n_discrete();
    for (row, (to, &action)) in to.iter_mut().zip(view.iter()).enumerate() {
        match action.try_into() {
            Ok(fits) if (fits as usize) < n => *to = fits,
            _ => {
                let (env, agent) = (row / group.n_agents, row % group.n_agents);
                let text = format!("action {action} of environment {env}, {}_{agent}", group.name);
                return Err(refuse(format!("{text} is not one of {n}; actions count from 0")));
            }
        }
    }
    Ok(())
}

fn check_shape(group: &GroupSpec, expected: &[usize], given: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = &group.name;
    let Ok(array) = given.cast::<PyUntypedArray>() else {
        return Err(refuse(format!(
            "actions of `{name}` are no NumPy array; give one of shape {expected:?}"
        )));
    };
    if array.shape() == expected {
        return Ok(());
    }
    let axes = if expected.len() == 2 { "environments, agents" } else { "environments, agents, components" };
    let shape = array.shape();
    Err(refuse(format!("actions of `{name}` have the shape {shape:?}; expected {expected:?}: {axes}")))
}

fn wrong_type(group: &GroupSpec, given: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let kind = given.cast::<PyUntypedArray>().map_or_else(|_| "?".into(), |array| array.dtype().to_string());
    refuse(format!("actions of `{}` are {kind}; give {expected}", group.name))
}

/// The discrete action of one agent.
///
/// # Errors
/// No whole number, or one outside the space.
pub fn one_discrete(agent: &str, n: usize, given: &Bound<'_, PyAny>) -> PyResult<u32> {
    let not = |what: &dyn std::fmt::Display| {
        refuse(format!("action {what} of {agent} is not one of {n}; actions are whole numbers from 0"))
    };
    let action: i64 = given.extract().map_err(|_| not(&shown(given)))?;
    match u32::try_from(action) {
        Ok(fits) if (fits as usize) < n => Ok(fits),
        _ => Err(not(&action)),
    }
}

/// Copies the components of the continuous action of one agent into `to`.
///
/// # Errors
/// Not as many numbers as the space has, or one outside its bounds.
pub fn one_continuous(
    agent: &str,
    space: &ActionSpace,
    given: &Bound<'_, PyAny>,
    to: &mut [f32],
) -> PyResult<()> {
    let ActionSpace::Continuous { width, low, high } = *space else { return Ok(()) };
    let numbers: Vec<f64> = if let Ok(array) = given.cast::<PyArray1<f32>>() {
        let array = array.try_readonly().map_err(|e| refuse(format!("the action of {agent}: {e}")))?;
        array.as_array().iter().map(|x| f64::from(*x)).collect()
    } else if let Ok(array) = given.cast::<PyArray1<f64>>() {
        let array = array.try_readonly().map_err(|e| refuse(format!("the action of {agent}: {e}")))?;
        array.as_array().to_vec()
    } else {
        given.extract().map_err(|_| {
            refuse(format!("action {} of {agent} is no vector; give {width} numbers", shown(given)))
        })?
    };
    if numbers.len() != width {
        return Err(refuse(format!("the action of {agent} has {} numbers; give {width}", numbers.len())));
    }
    for (to, number) in to.iter_mut().zip(numbers) {
        *to = number as f32;
        if !(low..=high).contains(to) {
            return Err(refuse(format!(
                "action component {number} of {agent} is outside {low}..={high}; clip it"
            )));
        }
    }
    Ok(())
}

/// A short text of what was given.
fn shown(given: &Bound<'_, PyAny>) -> String {
    let text = given.repr().map_or_else(|_| "?".into(), |text| text.to_string());
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    format!("`{line}`")
}
