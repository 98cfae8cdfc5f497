//! `coact list` and `coact info`.

use coact_envs::scripts;
use coact_games::extensive;
use coact_kernels::{GpuInfo, Isa};
use coact_tabular::problem;
use serde_json::{Value, json};

use crate::args::{InfoArgs, ListArgs};
use crate::console::say;
use crate::{Result, config, environments, presets};

/// Lists presets, environments, algorithms, games, models and methods.
///
/// # Errors
/// None today.
pub fn list(args: &ListArgs) -> Result<()> {
    let wants = |what: &str| args.what.as_deref().is_none_or(|w| w == what);
    if args.json {
        let mut object = serde_json::Map::new();
        for (name, make) in [
            ("presets", presets_json as fn() -> Value),
            ("envs", envs_json),
            ("algorithms", algorithms_json),
            ("games", games_json),
            ("models", models_json),
            ("methods", methods_json),
        ] {
            if wants(name) {
                object.insert(name.into(), make());
            }
        }
        if wants("envs") {
            object.insert("env_families".into(), families_json());
        }
        say(Value::Object(object));
        return Ok(());
    }
    if wants("presets") {
        say("Presets (coact train NAME):");
        presets::ALL.iter().for_each(|p| say(format!("  {:<22} {}", p.name, p.summary())));
    }
    if wants("envs") {
        say("Environments (coact train --env NAME --set env_options.OPTION=VALUE):");
        environments::all().iter().for_each(list_env);
        say(
            "Scripts that play any group: noop, uniform (--policy in evaluate and play, scripted.GROUP in train).",
        );
        say("Families of environments, of which any member can be named:");
        coact_envs::FAMILIES.iter().for_each(|f| say(format!("  {}\n  {:<22} {}", f.pattern, "", f.summary)));
    }
    if wants("algorithms") {
        say("Algorithms (coact train --algorithm NAME):");
        for entry in coact_algorithms::ALL {
            say(format!("  {:<22} {}", entry.name, entry.summary));
            let fast = if entry.fast { "; precision fast on a GPU" } else { "" };
            say(format!("  {:<22}   requires {}; {}{fast}", "", entry.requires, entry.source));
        }
    }
    if wants("games") {
        say("Games (coact solve NAME):");
        coact_games::catalog::ALL.iter().for_each(|g| say(format!("  {:<22} {}", g.name, g.summary)));
        say("Games in extensive form (coact solve 'NAME(PARAMETER=VALUE,...)'; defaults are shown):");
        for game in extensive::games::ALL {
            say(format!("  {:<22} {}", game.name, game.summary));
            for (name, default) in game.parameters {
                say(format!("  {:<22}   {name}={default}", ""));
            }
        }
    }
    if wants("models") {
        say("Models, teams and Markov games (coact plan NAME; Markov games also by coact solve):");
        problem::names().iter().for_each(|(name, summary)| say(format!("  {name:<22} {summary}")));
    }
    if wants("methods") {
        list_methods();
    }
    Ok(())
}

fn list_methods() {
    say("Methods (coact solve GAME --method NAME):");
    for entry in coact_games::solve::METHODS {
        let two = if entry.two_players { "; two players" } else { "" };
        let exact = if entry.exact { "; --exact" } else { "" };
        say(format!("  {:<30} {}{two}{exact}", entry.name, entry.summary));
    }
    say("Methods for games in extensive form:");
    for (name, summary, exact) in extensive_methods() {
        say(format!("  {name:<30} {summary}{}", if exact { "; --exact" } else { "" }));
    }
    say(
        "Learners of Markov games, and of games in normal form played over and over (coact solve, coact plan):",
    );
    for m in coact_games::markov::learn::METHODS {
        say(format!("  {:<30} {}", m.name, m.summary));
    }
    say("Planners (coact plan MODEL --method NAME):");
    coact_tabular::plan::METHODS.iter().for_each(|(name, _, what)| say(format!("  {name:<30} {what}")));
    say("Learners (coact plan MODEL --method NAME):");
    coact_tabular::learn::METHODS.iter().for_each(|m| say(format!("  {:<30} {}", m.name, m.summary)));
}

fn games_json() -> Value {
    let normal = coact_games::catalog::ALL
        .iter()
        .map(|g| json!({"name": g.name, "summary": g.summary, "form": "normal"}));
    let extensive = extensive::games::ALL.iter().map(|g| {
        let parameters: serde_json::Map<String, Value> =
            g.parameters.iter().map(|&(name, default)| (name.to_string(), default.into())).collect();
        json!({"name": g.name, "summary": g.summary, "form": "extensive", "parameters": parameters})
    });
    normal.chain(extensive).collect()
}

fn models_json() -> Value {
    problem::names().iter().map(|(name, summary)| json!({"name": name, "summary": summary})).collect()
}

fn methods_json() -> Value {
    let one = |m: &coact_games::solve::MethodEntry| json!({"name": m.name, "summary": m.summary, "exact": m.exact, "two_players": m.two_players, "form": "normal"});
    let extensive = extensive_methods().map(
        |(name, summary, exact)| json!({"name": name, "summary": summary, "exact": exact, "form": "extensive"}),
    );
    let markov = coact_games::markov::learn::METHODS;
    let markov = markov.iter().map(|m| json!({"name": m.name, "summary": m.summary, "form": "markov"}));
    let planners = coact_tabular::plan::METHODS;
    let planners =
        planners.iter().map(|(name, _, what)| json!({"name": name, "summary": what, "form": "model"}));
    let learners = coact_tabular::learn::METHODS.iter();
    let form = |m: &coact_tabular::learn::MethodEntry| if m.is_team() { "team" } else { "model" };
    let learners = learners.map(|m| json!({"name": m.name, "summary": m.summary, "form": form(m)}));
    let normal = coact_games::solve::METHODS.iter().map(one);
    normal.chain(extensive).chain(markov).chain(planners).chain(learners).collect()
}

/// Name, summary, and whether it can be exact, of each method for games in extensive form.
fn extensive_methods() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let programs = [
        ("sequence-form", "an equilibrium of a two-player constant-sum game, by linear program", true),
        ("backward-induction", "an equilibrium of a game of perfect information", true),
    ];
    programs.into_iter().chain(extensive::methods::ITERATIVE.iter().map(|m| (m.name, m.summary, false)))
}

fn list_env(entry: &coact_envs::EnvEntry) {
    let best = entry.best_known.map(|b| format!(", best known {b:.1}")).unwrap_or_default();
    say(format!("  {:<22} {}", entry.name, entry.summary));
    let scripted =
        scripts::scripted_return(entry.name).map(|r| format!(", scripted {r:.1}")).unwrap_or_default();
    say(format!("  {:<22}   return: random {:.1}{scripted}{best}", "", entry.random_return));
    for script in scripts::ALL.iter().filter(|s| s.is_for(entry.name)) {
        say(format!("  {:<22}   script {}={}: {}", "", script.group, script.name, script.summary));
    }
    for option in entry.options {
        say(format!("  {:<22}   {} = {}: {}", "", option.name, option.default, option.explain));
    }
}

fn presets_json() -> Value {
    presets::ALL.iter().map(|p| json!({"name": p.name, "summary": p.summary()})).collect()
}

fn envs_json() -> Value {
    let options = |entry: &coact_envs::EnvEntry| -> Value {
        let option =
            |o: &coact_envs::OptionInfo| json!({"name": o.name, "default": o.default, "explain": o.explain});
        entry.options.iter().map(option).collect()
    };
    let own_scripts = |e: &coact_envs::EnvEntry| -> Value {
        let own = scripts::ALL.iter().filter(|s| s.is_for(e.name));
        own.map(|s| json!({"group": s.group, "name": s.name, "summary": s.summary})).collect()
    };
    let env = |e: &coact_envs::EnvEntry| {
        json!({
            "name": e.name, "summary": e.summary, "origin": e.origin, "options": options(e),
            "random_return": e.random_return, "best_known_return": e.best_known,
            "scripted_return": scripts::scripted_return(e.name), "scripts": own_scripts(e),
        })
    };
    environments::all().iter().map(env).collect()
}

fn families_json() -> Value {
    let family = |f: &coact_envs::Family| {
        let options: Vec<Value> = f
            .options
            .iter()
            .map(|o| json!({"name": o.name, "default": o.default, "explain": o.explain}))
            .collect();
        json!({"pattern": f.pattern, "summary": f.summary, "origin": f.origin, "options": options})
    };
    coact_envs::FAMILIES.iter().map(family).collect()
}

fn algorithms_json() -> Value {
    let key = |k: &coact_core::settings::Key| json!({"name": k.name, "aliases": k.aliases, "default": k.default, "explain": k.explain.trim()});
    let algorithm = |a: &coact_algorithms::AlgorithmEntry| {
        json!({
            "name": a.name, "summary": a.summary, "source": a.source, "requires": a.requires, "fast": a.fast,
            "keys": a.keys.iter().map(key).collect::<Vec<_>>(),
        })
    };
    coact_algorithms::ALL.iter().map(algorithm).collect()
}

/// Shows what this machine offers.
///
/// # Errors
/// None today.
pub fn info(args: &InfoArgs) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let isas: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    let best = Isa::detect().name();
    let gpus = coact_kernels::gpus();
    let specializer = coact_kernels::specializer().unwrap_or_else(|why| why.to_string());
    if args.json {
        say(json!({
            "version": env!("CARGO_PKG_VERSION"), "cores": cores, "instruction_sets": isas,
            "instruction_set": best, "precisions": ["strict", "fast"], "devices": device_names(&gpus), "gpus": gpu_json(&gpus),
            "specialize": specializer,
        }));
        return Ok(());
    }
    say(format!("coact {}", env!("CARGO_PKG_VERSION")));
    say(format!("cores             {cores}"));
    say(format!("instruction sets  {} (auto takes {best}; results do not depend on it)", isas.join(", ")));
    say(
        "precisions        strict (the same bits on every device), fast (matrix units of a GPU, for larger shapes)",
    );
    say("devices           cpu");
    match &gpus {
        Ok(gpus) => gpus.iter().for_each(|gpu| say(format!("                  {gpu}"))),
        Err(why) => say(format!("                  {why}")),
    }
    say(format!("specialize=true   {specializer}"));
    Ok(())
}

type Gpus = std::result::Result<Vec<GpuInfo>, coact_kernels::Error>;

/// What `--device` takes on this machine.
fn device_names(gpus: &Gpus) -> Vec<String> {
    let names = gpus.iter().flatten().map(|gpu| format!("cuda:{}", gpu.ordinal));
    std::iter::once("cpu".to_string()).chain(names).collect()
}

/// The GPUs, or why there is none.
fn gpu_json(gpus: &Gpus) -> Value {
    let gpu = |gpu: &GpuInfo| {
        let ((major, minor), (driver, sub)) = (gpu.capability, gpu.driver);
        json!({
            "name": gpu.name, "memory_bytes": gpu.memory, "compute_capability": format!("{major}.{minor}"),
            "driver_cuda": format!("{driver}.{sub}"),
        })
    };
    match gpus {
        Ok(gpus) => gpus.iter().map(gpu).collect(),
        Err(why) => json!(why.to_string()),
    }
}

/// Says what a key does; `all` lists every key.
///
/// # Errors
/// No such key.
pub fn explain(name: &str) -> Result<()> {
    if name == "all" {
        let mut last = "";
        for (section, key) in config::all_keys() {
            if section != last {
                last = section;
                say(format!("{section}:"));
            }
            say(format!("  {:<30} {}", format!("{} = {}", key.name, plain(key.default)), key.explain.trim()));
        }
        return Ok(());
    }
    let key = config::find_key(name)?;
    say(format!("{} (default {}, type {})", key.name, plain(key.default), plain_kind(key.kind)));
    say(format!("  {}", key.explain.trim()));
    if !key.aliases.is_empty() {
        say(format!("  also called: {}", key.aliases.join(", ")));
    }
    Ok(())
}

/// A default as a user would write it, from its Rust text.
fn plain(default: &str) -> String {
    let mut text = default.replace(".into()", "");
    if text.chars().any(|c| c.is_ascii_digit()) && !text.starts_with('"') {
        text = text.replace('_', "");
    }
    let inner = text.strip_prefix("Some(").and_then(|t| t.strip_suffix(')')).map(str::to_string);
    let text = inner.unwrap_or(text);
    match text.as_str() {
        "None" => "none".into(),
        "Map::new()" => "{}".into(),
        "Vec::new()" => "[]".into(),
        other => match other.rsplit_once("::") {
            Some((_, variant)) => format!("\"{}\"", snake(variant)),
            None => other.trim_start_matches("vec!").to_string(),
        },
    }
}

fn snake(variant: &str) -> String {
    let mut out = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn plain_kind(kind: &str) -> String {
    let kind = kind.replace(' ', "");
    let inner =
        kind.strip_prefix("Option<").and_then(|k| k.strip_suffix('>')).map(|k| format!("{k} or none"));
    inner
        .unwrap_or(kind)
        .replace("u64", "whole number")
        .replace("usize", "whole number")
        .replace("u32", "whole number")
        .replace("i64", "whole number")
        .replace("f64", "number")
        .replace("f32", "number")
        .replace("bool", "true or false")
        .replace("String", "text")
}
