//! `rl_optim`: optimizer steps, clipping by the norm, and the blend of target parameters.

use coact_kernels::{Backend, Clip, CpuOptions, OptimStep, Rule};
use serde_json::Value;

use super::case::{field, number, numbers, numbers_of, single, table, table_of};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-5;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let fields = case.value.as_object().ok_or("the case is not an object")?;
    let mut backend = Backend::cpu(CpuOptions::default()).map_err(|e| e.to_string())?;
    for (name, value) in fields {
        match name.as_str() {
            "optimisers" => optimizers(case, &mut backend, value)?,
            "clip_grad_norm" => clip(case, &mut backend, value)?,
            "polyak" => blend(case, &mut backend, value)?,
            "seed" | "p0" | "grads" => {}
            other => case.not_covered(other),
        }
    }
    Ok(())
}

fn optimizers(case: &mut Case<'_>, backend: &mut Backend, all: &Value) -> Result<(), Fault> {
    let start = numbers(case.value, "p0")?;
    let (grads, n_steps, width) = table(case.value, "grads")?;
    if width != start.len() || width == 0 {
        return Err(format!("field `grads` has {width} columns, `p0` {} values", start.len()));
    }
    for (name, recorded) in all.as_object().ok_or("field `optimisers` is not an object")? {
        let Some((rule, lr)) = rule(name, field(recorded, "hyper")?)? else {
            case.not_covered(name);
            continue;
        };
        let expected = table_of(recorded, "params_after_each_step", n_steps, width)?;
        let mut params = single(&start);
        let mut moments = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
        for step in 0..n_steps {
            let mut grads = single(&grads[step * width..(step + 1) * width]);
            let [first, second, third] = &mut moments;
            let call = OptimStep {
                rule,
                clip: Clip::default(),
                lr,
                step: step as u64 + 1,
                params: &mut params,
                grads: &mut grads,
                moments: [first, second, third],
                partitions: &[],
                tensors: &[],
            };
            backend.optim_step(call).map_err(|e| format!("{name}: {e}"))?;
            let what = format!("{name} after step {}", step + 1);
            case.all_close(&what, &params, &expected[step * width..(step + 1) * width], TOLERANCE);
        }
    }
    Ok(())
}

/// The rule that a recorded optimizer's name and settings ask for, and its learning rate; nothing if ours has no
/// such rule or setting. Missing settings are PyTorch's defaults.
fn rule(name: &str, hyper: &Value) -> Result<Option<(Rule, f32)>, Fault> {
    let kind = ["adamw", "adam", "rmsprop", "sgd"].into_iter().find(|kind| name.starts_with(kind));
    let known: &[&str] = match kind {
        Some("adamw" | "adam") => &["lr", "eps", "betas", "weight_decay"],
        Some("rmsprop") => &["lr", "eps", "alpha", "momentum", "centered", "weight_decay"],
        Some("sgd") => &["lr", "momentum", "nesterov", "weight_decay"],
        _ => return Ok(None),
    };
    let settings = hyper.as_object().ok_or_else(|| format!("settings of {name} are not an object"))?;
    if settings.keys().any(|key| !known.contains(&key.as_str())) {
        return Ok(None);
    }
    let get = |key: &str, default: f64| match hyper.get(key) {
        Some(_) => number(hyper, key).map(|v| v as f32),
        None => Ok(default as f32),
    };
    let is = |key: &str| hyper.get(key).and_then(Value::as_bool).unwrap_or(false);
    let decoupled = kind == Some("adamw");
    let weight_decay = get("weight_decay", if decoupled { 0.01 } else { 0.0 })?;
    let rule = match kind {
        Some("rmsprop") => Rule::RmsProp {
            alpha: get("alpha", 0.99)?,
            eps: get("eps", 1e-8)?,
            momentum: get("momentum", 0.0)?,
            centered: is("centered"),
            weight_decay,
        },
        Some("sgd") => Rule::Sgd { momentum: get("momentum", 0.0)?, nesterov: is("nesterov"), weight_decay },
        _ => {
            let betas = match hyper.get("betas") {
                Some(_) => numbers_of(hyper, "betas", 2)?,
                None => vec![0.9, 0.999],
            };
            let (beta1, beta2) = (betas[0] as f32, betas[1] as f32);
            Rule::Adam { beta1, beta2, eps: get("eps", 1e-8)?, weight_decay, decoupled }
        }
    };
    Ok(Some((rule, get("lr", 1e-3)?)))
}

fn clip(case: &mut Case<'_>, backend: &mut Backend, recorded: &Value) -> Result<(), Fault> {
    let lists = |name: &str| -> Result<Vec<Vec<f64>>, Fault> {
        let list =
            field(recorded, name)?.as_array().ok_or_else(|| format!("field `{name}` is not a list"))?;
        list.iter().map(|l| numbers(&serde_json::json!({ "list": l }), "list")).collect()
    };
    let mut grads = single(&lists("grads")?.concat());
    let mut params = vec![0.0; grads.len()];
    let call = OptimStep {
        rule: Rule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 },
        clip: Clip { global_norm: Some(number(recorded, "max_norm")? as f32), ..Clip::default() },
        lr: 1.0,
        step: 1,
        params: &mut params,
        grads: &mut grads,
        moments: [&mut [], &mut [], &mut []],
        partitions: &[],
        tensors: &[],
    };
    let stats = backend.optim_step(call).map_err(|e| e.to_string())?;
    case.close("norm before clipping", stats.grad_norm.into(), number(recorded, "total_norm")?, TOLERANCE);
    case.all_close("clipped gradients", &grads, &lists("clipped")?.concat(), TOLERANCE);
    Ok(())
}

fn blend(case: &mut Case<'_>, backend: &mut Backend, recorded: &Value) -> Result<(), Fault> {
    let source = single(&numbers(recorded, "params")?);
    let mut target = single(&numbers_of(recorded, "target", source.len())?);
    let expected = numbers_of(recorded, "new_target", source.len())?;
    backend.blend(&mut target, &source, number(recorded, "tau")? as f32);
    case.all_close("blended target", &target, &expected, TOLERANCE);
    Ok(())
}
