//! What kernels for GPUs may take: `budget.toml` beside each `.cu` file says, per kernel and architecture, how many
//! registers a thread and how many bytes of static shared memory a block may have, and ptxas's figures are held against
//! it. More registers mean fewer threads at once on a multiprocessor, which no test of results would notice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::{Failure, Result};

/// Architectures that kernels are assembled for.
pub const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];

/// What a kernel takes on one architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    kernel: String,
    arch: String,
    registers: u64,
    shared: u64,
}

/// What a kernel may take, and the file that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    file: String,
    registers: u64,
    shared: u64,
}

/// By kernel and architecture.
pub type Budgets = BTreeMap<(String, String), Budget>;

/// Reads what `ptxas -v` said.
///
/// # Errors
/// A kernel that spills registers or uses the stack.
pub fn usage(arch: &str, said: &str) -> std::result::Result<Vec<Usage>, String> {
    let mut all = Vec::new();
    let mut kernel = "";
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Function properties for ") {
            kernel = rest.trim();
        } else if line.contains("bytes stack frame") {
            let clean = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
            if line.trim() != clean {
                return Err(format!("{kernel} ({arch}) uses the stack or spills registers: {}", line.trim()));
            }
        } else if let Some((_, rest)) = line.split_once("Used ") {
            let of = |unit: &str| {
                let part = rest.split(',').find(|part| part.trim().ends_with(unit))?;
                part.trim().split(' ').next()?.parse::<u64>().ok()
            };
            all.push(Usage {
                kernel: kernel.to_owned(),
                arch: arch.to_owned(),
                registers: of(" registers").unwrap_or(0),
                shared: of(" bytes smem").unwrap_or(0),
            });
        }
    }
    if all.is_empty() {
        return Err(format!("ptxas named no kernel for {arch}: {}", said.trim()));
    }
    Ok(all)
}

/// Reads one budget file.
///
/// # Errors
/// What is not TOML of the form `[kernel] sm_80 = { registers = 1, shared = 0 }`.
pub fn parse(file: &str, text: &str) -> Result<Budgets> {
    let table: toml::Table = text.parse().map_err(|e| format!("{file}: {e}"))?;
    let mut budgets = Budgets::new();
    for (kernel, entry) in &table {
        let entry = entry.as_table().ok_or_else(|| format!("{file}: {kernel} is not a table"))?;
        for (arch, limits) in entry {
            let number = |name: &str| {
                let value = limits.get(name).and_then(toml::Value::as_integer);
                let value = value.and_then(|v| u64::try_from(v).ok());
                value.ok_or_else(|| format!("{file}: {kernel}, {arch} needs a number `{name}`"))
            };
            let budget =
                Budget { file: file.to_owned(), registers: number("registers")?, shared: number("shared")? };
            if budgets.insert((kernel.clone(), arch.clone()), budget).is_some() {
                return Err(Failure::Run(format!("{file}: {kernel}, {arch} has two budgets")));
            }
        }
    }
    Ok(budgets)
}

/// All budgets below `sources`.
///
/// # Errors
/// A file that cannot be read or is not as [`parse`] wants it.
pub fn read(sources: &Path) -> Result<Budgets> {
    let mut all = Budgets::new();
    for file in files(sources, "budget.toml") {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
        let name = file.strip_prefix(sources).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        for (key, budget) in parse(&name, &text)? {
            if let Some(other) = all.insert(key.clone(), budget) {
                return Err(Failure::Run(format!("{name} and {}: two budgets for {}", other.file, key.0)));
            }
        }
    }
    Ok(all)
}

/// Files below `folder` whose name ends so, in order.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Holds what kernels take against what they may.
///
/// # Errors
/// One line a kernel and architecture that takes too much, has no budget, or no longer exists.
pub fn hold(budgets: &Budgets, usage: &[Usage]) -> std::result::Result<(), String> {
    let mut faults = Vec::new();
    for u in usage {
        let Usage { kernel, arch, registers, shared } = u;
        let Some(budget) = budgets.get(&(kernel.clone(), arch.clone())) else {
            faults
                .push(format!("{kernel} ({arch}) has no budget; write one with `cargo xtask ptx --budgets`"));
            continue;
        };
        let Budget { file, registers: most, shared: most_shared } = budget;
        let otherwise = format!("make it smaller, or raise it in {file} and say why");
        if registers > most {
            faults.push(format!(
                "{kernel} ({arch}) takes {registers} registers; its budget is {most}: {otherwise}"
            ));
        }
        if shared > most_shared {
            faults.push(format!(
                "{kernel} ({arch}) takes {shared} bytes of shared memory; its budget is {most_shared}: {otherwise}"
            ));
        }
    }
    for ((kernel, arch), budget) in budgets {
        if !usage.iter().any(|u| u.kernel == *kernel && u.arch == *arch) {
            faults.push(format!("{} has a budget for {kernel} ({arch}), which does not exist", budget.file));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// What kernels take beside their budgets, for people.
pub fn table(budgets: &Budgets, usage: &[Usage]) -> String {
    let mut out = format!(
        "{:<26} {:<6} {:>9} {:>6} {:>12} {:>6}\n",
        "kernel", "arch", "registers", "budget", "static bytes", "budget"
    );
    for u in usage {
        let budget = budgets.get(&(u.kernel.clone(), u.arch.clone()));
        let show = |limit: Option<u64>| limit.map_or("none".to_owned(), |v| v.to_string());
        let _ = writeln!(
            out,
            "{:<26} {:<6} {:>9} {:>6} {:>12} {:>6}",
            u.kernel,
            u.arch,
            u.registers,
            show(budget.map(|b| b.registers)),
            u.shared,
            show(budget.map(|b| b.shared))
        );
    }
    out
}

/// Names of the kernels that a `.cu` file declares, in its order.
fn declared(text: &str) -> Vec<&str> {
    let after = text.lines().filter_map(|line| line.trim_start().strip_prefix("KERNEL("));
    after.filter_map(|rest| rest.split_once(',').map(|(name, _)| name.trim())).collect()
}

/// Writes what kernels take now into the budget files beside them.
///
/// # Errors
/// A file that cannot be read or written.
pub fn write(sources: &Path, usage: &[Usage]) -> Result {
    // Files of one folder share a budget.
    let mut budgets = BTreeMap::<PathBuf, Vec<String>>::new();
    for file in files(sources, ".cu") {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
        // The macro itself is defined, not called, in the file that joins all others.
        let kernels = declared(&text).into_iter().filter(|name| usage.iter().any(|u| u.kernel == *name));
        let names: Vec<String> = kernels.map(str::to_owned).collect();
        if !names.is_empty() {
            budgets.entry(file.with_file_name("budget.toml")).or_default().extend(names);
        }
    }
    for (path, kernels) in budgets {
        std::fs::write(&path, rendered(&kernels, usage))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}

/// A budget file.
fn rendered(kernels: &[String], usage: &[Usage]) -> String {
    let mut out = "# What each kernel may take at most: registers a thread, bytes of static shared memory a block. Written by\n\
                   # `cargo xtask ptx --budgets`, held by `cargo xtask cuda check`; how to read it is in crates/kernels/README.md.\n"
        .to_owned();
    for kernel in kernels {
        let _ = writeln!(out, "\n[{kernel}]");
        for u in usage.iter().filter(|u| u.kernel == *kernel) {
            let _ = writeln!(out, "{} = {{ registers = {}, shared = {} }}", u.arch, u.registers, u.shared);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'tree' for 'sm_80'
ptxas info    : Function properties for tree
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers, 376 bytes cmem[0]
ptxas info    : Compiling entry function 'act' for 'sm_80'
ptxas info    : Function properties for act
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 58 registers, 2176 bytes smem, 512 bytes cmem[0]
";

    fn taken() -> Vec<Usage> {
        usage("sm_80", SAID).unwrap()
    }

    fn held(tree: &str, act: &str) -> std::result::Result<(), String> {
        let text = format!("[tree]\nsm_80 = {{ {tree} }}\n[act]\nsm_80 = {{ {act} }}\n");
        hold(&parse("a/budget.toml", &text).unwrap(), &taken())
    }

    #[test]
    fn reads_what_ptxas_says() {
        let of = |kernel: &str, registers, shared| Usage {
            kernel: kernel.to_owned(),
            arch: "sm_80".to_owned(),
            registers,
            shared,
        };
        assert_eq!(taken(), [of("tree", 14, 0), of("act", 58, 2176)]);
        assert!(usage("sm_80", "ptxas info    : 0 bytes gmem").is_err());
    }

    #[test]
    fn spills_and_stacks_are_faults_whatever_the_budget() {
        for bad in
            ["8 bytes stack frame, 0 bytes spill stores, 0", "0 bytes stack frame, 4 bytes spill stores, 4"]
        {
            let said = SAID.replacen("0 bytes stack frame, 0 bytes spill stores, 0", bad, 1);
            let why = usage("sm_80", &said).unwrap_err();
            assert!(why.starts_with("tree (sm_80) uses the stack or spills"), "{why}");
        }
    }

    #[test]
    fn more_than_a_budget_is_named_with_its_file() {
        assert_eq!(held("registers = 14, shared = 0", "registers = 58, shared = 2176"), Ok(()));
        let why = held("registers = 13, shared = 0", "registers = 60, shared = 2175").unwrap_err();
        let lines: Vec<&str> = why.lines().collect();
        assert_eq!(lines.len(), 2, "{why}");
        assert!(lines[0].starts_with("tree (sm_80) takes 14 registers; its budget is 13: "), "{why}");
        assert!(
            lines[1].starts_with("act (sm_80) takes 2176 bytes of shared memory; its budget is 2175: "),
            "{why}"
        );
        assert!(why.contains("a/budget.toml"));
    }

    #[test]
    fn kernels_without_budgets_and_budgets_without_kernels_are_faults() {
        let budgets = parse("a/budget.toml", "[tree]\nsm_80 = { registers = 99, shared = 0 }\n").unwrap();
        assert!(hold(&budgets, &taken()).unwrap_err().contains("act (sm_80) has no budget"));
        let text = rendered(&["tree", "act"].map(str::to_owned), &taken());
        assert_eq!(hold(&parse("a/budget.toml", &text).unwrap(), &taken()), Ok(()));
        let more = format!("{text}\n[old]\nsm_90 = {{ registers = 1, shared = 0 }}\n");
        let why = hold(&parse("a/budget.toml", &more).unwrap(), &taken()).unwrap_err();
        assert_eq!(why, "a/budget.toml has a budget for old (sm_90), which does not exist");
    }

    #[test]
    fn a_budget_that_says_nothing_is_refused() {
        for text in ["[a]\nsm_80 = { registers = 1 }", "[a]\nsm_80 = 3", "a = 1", "[a"] {
            assert!(parse("a/budget.toml", text).is_err(), "{text}");
        }
    }

    #[test]
    fn kernels_are_found_in_sources() {
        let text =
            "KERNEL(act_8, ActArgs) { act<8>(args); }\n// KERNEL(no, No)\nKERNEL(act_32, ActArgs) {}\n";
        assert_eq!(declared(text), ["act_8", "act_32"]);
    }
}
