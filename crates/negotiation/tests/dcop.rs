//! What users of the constraint methods rely on: known optima, agreement of exact methods, costs that never rise,
//! the same run at any number of threads.

#![allow(clippy::unwrap_used)]

use coact_negotiation::Error;
use coact_negotiation::dcop::{
    Constraint, Domain, DsaVariant, File, Method, Objective, Options, Outcome, Problem, Status, Value,
    Variable, dpop_plan, generators, solve,
};
use proptest::prelude::*;

fn run(problem: &Problem, method: Method, options: &Options) -> Outcome {
    solve(problem, method, options, &mut |_| true).unwrap()
}

fn read(text: &str) -> Problem {
    File::parse(text).unwrap().problem().unwrap()
}

fn names(problem: &Problem, assignment: &[usize]) -> Vec<String> {
    assignment.iter().enumerate().map(|(v, &value)| problem.value(v, value).to_string()).collect()
}

/// Three nodes in a row, two colors, each node prefers one a little.
const COLORING: &str = "
name: three in a row
objective: min
domains: {colors: {values: [R, G], type: color}}
variables:
  v1: {domain: colors, cost_function: -0.1 if v1 == 'R' else 0.1}
  v2: {domain: colors, cost_function: -0.1 if v2 == 'G' else 0.1}
  v3: {domain: colors, cost_function: -0.1 if v3 == 'G' else 0.1}
constraints:
  differ_1_2: {type: intention, function: 1 if v1 == v2 else 0}
  differ_3_2:
    type: intention
    function: |
      if v3 == v2:
          return 1
      else:
          return 0
agents: [a1, a2, a3]
";

/// The tutorial's four binary variables, to be kept down or driven up.
fn tutorial(objective: &str) -> Problem {
    read(&format!(
        "
name: tutorial
objective: {objective}
domains: {{colors: {{values: [R, G]}}}}
variables: {{v1: {{domain: colors}}, v2: {{domain: colors}}, v3: {{domain: colors}}, v4: {{domain: colors}}}}
constraints:
  c12: {{type: extensional, variables: [v1, v2], values: {{5: R R, 8: R G, 20: G R, 3: G G}}}}
  c13: {{type: extensional, variables: [v1, v3], values: {{5: R R, 10: R G, 20: G R, 3: G G}}}}
  c23: {{type: extensional, variables: [v2, v3], values: {{5: R R, 4: R G, 3: G R | G G}}}}
  c24: {{type: extensional, variables: [v2, v4], values: {{3: R R | G G, 8: R G, 10: G R}}}}
"
    ))
}

/// Lights and a model of their brightness; the best rounding of a half goes to the even number.
const LIGHTS: &str = "
name: lights
objective: min
domains:
  level: {values: [0 .. 4]}
variables:
  l1: {domain: level, cost_function: 0.7 * l1}
  l2: {domain: level, cost_function: 0.5 * l2}
  l3: {domain: level, cost_function: 0.2 * l3}
  m1: {domain: level}
constraints:
  model: {type: intention, function: 0 if m1 == round(0.7 * l1 + 0.5 * l2 + 0.3 * l3) else 1000}
  rule: {type: intention, function: 10 * (abs(m1 - 3) + abs(l2 - 3))}
";

#[test]
fn known_optima_are_found_by_every_exact_method() {
    for method in Method::ALL.into_iter().filter(|method| method.is_exact()) {
        let solved = |problem: &Problem| {
            let outcome = run(problem, method, &Options::default());
            assert_eq!(outcome.status, Status::Finished);
            assert_eq!(outcome.counts.in_flight(), 0);
            (outcome.cost, names(problem, &outcome.assignment).join(" "))
        };
        let coloring = read(COLORING);
        let (cost, values) = solved(&coloring);
        assert!((cost + 0.1).abs() < 1e-12, "{method:?}: {cost}");
        assert_eq!(values, "R G R", "{method:?}");
        assert_eq!(solved(&tutorial("min")), (12.0, "G G G G".into()), "{method:?}");
        assert_eq!(solved(&tutorial("max")), (53.0, "G R R G".into()), "{method:?}");
        let (cost, values) = solved(&read(LIGHTS));
        assert!((cost - 2.3).abs() < 1e-12, "{method:?}: {cost}");
        assert_eq!(values, "0 3 4 3", "{method:?}");
    }
}

#[test]
fn the_lights_of_a_house_cost_66_2() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/negotiation/house.yaml");
    let problem = read(&std::fs::read_to_string(path).unwrap());
    let outcome = run(&problem, Method::Dpop, &Options::default());
    assert!((outcome.cost - 66.2).abs() < 1e-9, "{}", outcome.cost);
    assert_eq!(outcome.to_json(&problem)["cost"], 66.2);
    // With the noise that the file asks for another optimum may be found, at most the noise of 13 lights dearer.
    let noisy = run(&problem, Method::Dpop, &Options { noise: true, seed: 1, ..Options::default() });
    assert!(noisy.cost >= 66.2 - 1e-9 && noisy.cost <= 66.2 + 13.0 * 0.2);
}

/// The numbers that pyDCOP prints for this problem: two messages for each edge of the tree, of size 2 each.
#[test]
fn dpop_counts_messages_as_pydcop_does() {
    let outcome = run(&read(COLORING), Method::Dpop, &Options::default());
    assert_eq!((outcome.counts.sent, outcome.counts.values, outcome.cycle), (4, 8, 1));
    let plan = dpop_plan(&read(COLORING)).unwrap();
    assert_eq!((plan.induced_width, plan.largest_table, plan.messages), (1, 2, 4));
}

#[test]
fn dpop_tells_its_need_before_it_takes_it() {
    let problem = generators::generate("coloring:n=12,colors=4,edges=66", 1).unwrap();
    let plan = dpop_plan(&problem).unwrap();
    assert_eq!((plan.induced_width, plan.largest_table), (11, 4_u64.pow(11)));
    let options = Options { memory_limit_bytes: plan.bytes - 1, ..Options::default() };
    match solve(&problem, Method::Dpop, &options, &mut |_| true) {
        Err(Error::Memory { need_bytes, induced_width: 11, .. }) => assert_eq!(need_bytes, plan.bytes),
        other => panic!("{other:?}"),
    }
    let large = generators::generate("coloring:n=60,colors=10,edges=900", 1).unwrap();
    assert_eq!(dpop_plan(&large).unwrap().bytes, u64::MAX);
}

#[test]
fn violations_are_counted_and_outweigh_everything() {
    let text = "
name: two of three
objective: min
domains: {d: {values: [0, 1]}}
variables: {a: {domain: d, cost_function: 50 * a}, b: {domain: d}, c: {domain: d}}
constraints:
  ab: {type: intention, function: float('inf') if a == b else 0}
  bc: {type: intention, function: float('inf') if b == c else 0}
  ca: {type: extensional, variables: [c, a], default: 1, values: {.inf: 0 0 | 1 1}}
";
    let problem = read(text);
    for method in Method::ALL {
        let outcome = run(&problem, method, &Options::default());
        assert!(outcome.violation >= 1 && outcome.cost.is_finite(), "{method:?}");
        if method.is_exact() {
            // One of the three must be violated; a = 0 then costs at most 1.
            assert_eq!(outcome.violation, 1, "{method:?}");
            assert!(outcome.cost <= 1.0, "{method:?}: {}", outcome.cost);
        }
    }
    let finite = read(&COLORING.replace("1 if v1 == v2", "10000 if True").replace("0.1", "0"));
    let options = Options { infinity: 10_000.0, ..Options::default() };
    let outcome = run(&finite, Method::Dpop, &options);
    assert_eq!((outcome.cost, outcome.violation), (0.0, 1));
    assert_eq!(run(&finite, Method::Dpop, &Options::default()).cost, 10_000.0);
}

/// A random problem: constraints over two or three variables, sometimes negative costs, sometimes equal ones.
fn random_problem(seed: u64, n: usize, n_edges: usize, whole: bool) -> Problem {
    use coact_core::{Purpose, Stream};
    let mut stream = Stream::new(seed, Purpose::Init, 99, 0);
    let mut cost = move || {
        let number = stream.uniform_f64() * 20.0 - 5.0;
        if whole { number.round() } else { number }
    };
    let graph = coact_messaging::Topology::random_connected(n, n_edges, seed).unwrap();
    let sizes = [2, 3, 1];
    let domain = |size: usize| Domain {
        name: format!("d{size}"),
        kind: String::new(),
        values: (0..size as i64).map(Value::Int).collect(),
    };
    let variable = |v: usize, costs| Variable {
        name: format!("v{v}"),
        domain: (v + seed as usize) % 3,
        initial: None,
        costs,
        noise_level: 0.0,
    };
    let size = |v: usize| sizes[(v + seed as usize) % 3];
    let mut constraints = Vec::new();
    for a in 0..n {
        for &b in graph.neighbors(a).iter().filter(|&&b| b > a) {
            let mut scope = vec![b, a];
            if let Some(&third) = graph.neighbors(b).iter().find(|&&c| c > b && (a + b + c) % 3 == 0) {
                scope.insert(1, third);
            }
            let table = (0..scope.iter().map(|&v| size(v)).product()).map(|_| cost()).collect();
            constraints.push(Constraint { name: format!("c{a}_{b}"), scope, table });
        }
    }
    let variables = (0..n).map(|v| {
        let costs = if v % 2 == 0 { (0..size(v)).map(|_| cost()).collect() } else { Vec::new() };
        variable(v, costs)
    });
    let objective = if seed.is_multiple_of(2) { Objective::Min } else { Objective::Max };
    let variables = variables.collect();
    let domains = sizes.map(domain).to_vec();
    Problem { name: "random".into(), description: String::new(), objective, domains, variables, constraints }
}

#[test]
fn dpop_equals_brute_force_on_a_thousand_graphs() {
    for seed in 0..1000 {
        let n = 2 + seed as usize % 7;
        let problem =
            random_problem(seed, n, (n - 1 + seed as usize % 5).min(n * (n - 1) / 2), seed % 3 == 0);
        let brute = run(&problem, Method::BruteForce, &Options::default()).cost;
        let dpop = run(&problem, Method::Dpop, &Options::default()).cost;
        assert!((brute - dpop).abs() < 1e-9, "seed {seed}: {brute} and {dpop}");
    }
}

#[test]
fn searches_equal_brute_force() {
    for seed in 0..150 {
        let n = 2 + seed as usize % 6;
        let problem =
            random_problem(seed, n, (n - 1 + seed as usize % 4).min(n * (n - 1) / 2), seed % 3 == 0);
        let brute = run(&problem, Method::BruteForce, &Options::default()).cost;
        for method in [Method::SyncBb, Method::Adopt] {
            let outcome = run(&problem, method, &Options { max_messages: 3_000_000, ..Options::default() });
            assert_eq!(outcome.status, Status::Finished, "{method:?}, seed {seed}");
            assert!(
                (brute - outcome.cost).abs() < 1e-9,
                "{method:?}, seed {seed}: {brute} and {}",
                outcome.cost
            );
        }
    }
}

#[test]
fn forward_bounding_equals_brute_force_on_a_thousand_graphs() {
    for seed in 0..1000 {
        let n = 1 + seed as usize % 7;
        let problem =
            random_problem(seed, n, (n - 1 + seed as usize % 5).min(n * (n - 1) / 2), seed % 3 == 0);
        let brute = run(&problem, Method::BruteForce, &Options::default()).cost;
        let outcome = run(&problem, Method::Afb, &Options { max_messages: 1_000_000, ..Options::default() });
        assert_eq!(outcome.status, Status::Finished, "seed {seed}");
        assert!((brute - outcome.cost).abs() < 1e-9, "seed {seed}: {brute} and {}", outcome.cost);
    }
}

/// Bounds from agents further on spare values that a search by costs so far alone has to try.
#[test]
fn forward_bounds_spare_assignments() {
    // Where every cost can be zero, only estimates for the values chosen so far bound anything.
    let spared = ["coloring:n=12,colors=4,edges=40,soft=1", "coloring:n=10,colors=3,edges=30"];
    for (kind, seed) in spared.iter().flat_map(|kind| (0..5).map(move |seed| (kind, seed))) {
        let problem = generators::generate(kind, seed).unwrap();
        let forwards = |method| {
            let outcome = run(&problem, method, &Options { log: true, ..Options::default() });
            (outcome.cost, outcome.log.lines().filter(|line| line.contains(" forward ")).count())
        };
        let ((plain, n_plain), (bounded, n_bounded)) = (forwards(Method::SyncBb), forwards(Method::Afb));
        assert!((plain - bounded).abs() < 1e-9);
        assert!(n_bounded < n_plain, "{kind}, seed {seed}: {n_bounded} and {n_plain}");
    }
}

#[test]
fn max_sum_equals_dpop_on_trees() {
    for seed in 0..100 {
        for damping in [0.0, 0.5] {
            let n = 2 + seed as usize % 19;
            let mut problem = random_problem(seed, n, n - 1, seed % 3 == 0);
            // Constraints over three variables close cycles of the factor graph on a tree only if they overlap.
            problem.constraints.retain(|c| c.scope.len() == 2);
            let dpop = run(&problem, Method::Dpop, &Options::default()).cost;
            let outcome = run(&problem, Method::MaxSum, &Options { seed, damping, ..Options::default() });
            assert_eq!(outcome.status, Status::Finished);
            let gap = (dpop - outcome.cost).abs();
            assert!(gap < 1e-9, "seed {seed}, damping {damping}: {dpop} and {}", outcome.cost);
        }
    }
}

#[test]
fn mgm_and_mgm2_never_rise() {
    for seed in 0..60 {
        let problem = generators::generate("coloring:n=30,colors=4,edges=70,soft=1", seed).unwrap();
        let mut last = [0.0; 2];
        for (method, last) in [Method::Mgm, Method::Mgm2].into_iter().zip(&mut last) {
            for random_ties in [false, true] {
                let outcome = run(&problem, method, &Options { seed, random_ties, ..Options::default() });
                assert_eq!(outcome.status, Status::Finished);
                assert!(
                    outcome.costs.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9),
                    "{method:?}: {:?}",
                    outcome.costs
                );
                assert_eq!(outcome.costs.last(), Some(&outcome.cost));
                *last = outcome.cost;
            }
        }
    }
}

/// Moving in pairs leads out of rests that moving alone cannot leave.
#[test]
fn pairs_find_better_rests() {
    let mean = |method| {
        let cost = |seed| {
            let problem = generators::generate("coloring:n=30,colors=4,edges=70,soft=1", seed).unwrap();
            run(&problem, method, &Options { seed, ..Options::default() }).cost
        };
        (0..40).map(cost).sum::<f64>() / 40.0
    };
    let (alone, paired) = (mean(Method::Mgm), mean(Method::Mgm2));
    assert!(paired < 0.95 * alone, "{paired} and {alone}");
}

/// Where MGM ends nobody can gain alone.
#[test]
fn mgm_ends_where_nobody_gains_alone() {
    for seed in 0..50 {
        let problem = random_problem(seed, 9, 14, true);
        let outcome = run(&problem, Method::Mgm, &Options { seed, ..Options::default() });
        let sign = if problem.objective == Objective::Min { 1.0 } else { -1.0 };
        for v in 0..problem.variables.len() {
            for value in 0..problem.n_values(v) {
                let mut other = outcome.assignment.clone();
                other[v] = value;
                assert!(sign * problem.cost(&other, f64::INFINITY).cost >= sign * outcome.cost - 1e-9);
            }
        }
    }
}

#[test]
fn a_cycle_of_mgm_costs_two_messages_over_each_link() {
    let problem = generators::generate("coloring:n=50,colors=10,edges=96,soft=1", 1).unwrap();
    let outcome = run(&problem, Method::Mgm, &Options::default());
    let values_at_start = 2 * 96;
    assert_eq!(outcome.counts.sent, values_at_start + 2 * 2 * 96 * outcome.cycle);
}

#[test]
fn variants_of_dsa_differ_and_find_colorings() {
    let problem = generators::generate("coloring:n=40,colors=4,edges=80", 3).unwrap();
    let mut ends = Vec::new();
    for variant in [DsaVariant::A, DsaVariant::B, DsaVariant::C] {
        for by_arity in [false, true] {
            let options = Options { variant, by_arity, max_cycles: 300, seed: 5, ..Options::default() };
            let outcome = run(&problem, Method::Dsa, &options);
            assert!(outcome.cost <= outcome.costs[0] / 2.0, "{variant:?}: {:?}", outcome.cost);
            if variant == DsaVariant::B && !by_arity {
                assert_eq!(outcome.cost, 0.0);
                assert_eq!(outcome.status, Status::Finished);
            }
            ends.push(outcome.costs);
        }
    }
    ends.sort_by(|a, b| a.partial_cmp(b).unwrap());
    ends.dedup();
    assert_eq!(ends.len(), 6);
}

#[test]
fn runs_are_the_same_at_any_number_of_threads() {
    let problem = generators::generate("coloring:n=20,colors=3,edges=30,soft=1", 2).unwrap();
    for method in Method::ALL.into_iter().filter(|&m| !matches!(m, Method::BruteForce | Method::Adopt)) {
        let options =
            Options { seed: 4, log: true, max_cycles: 40, max_messages: 20_000, ..Options::default() };
        let alone = run(&problem, method, &options);
        assert!(!alone.log.is_empty());
        for n_threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let parallel = Options { parallel: true, ..options.clone() };
            assert_eq!(
                alone,
                pool.install(|| run(&problem, method, &parallel)),
                "{method:?}, {n_threads} threads"
            );
        }
    }
}

/// What an agent sends depends on its own constraints and on what it was told: a change far away cannot be seen
/// before news of it can have arrived.
#[test]
fn agents_see_only_their_own_constraints_and_their_mail() {
    let mut text = String::from("name: row\nobjective: min\ndomains: {d: {values: [0, 1, 2]}}\nvariables:\n");
    for v in 0..12 {
        text += &format!("  v{v}: {{domain: d, initial_value: {}}}\n", v % 3);
    }
    text += "constraints:\n";
    for v in 1..12 {
        text += &format!("  c{v}: {{type: intention, function: (v{} - v{v}) ** 2 + v{v} % 2}}\n", v - 1);
    }
    let near = read(&text);
    let far = read(&text.replace("(v10 - v11) ** 2", "7 * (v10 == v11)"));
    for method in [Method::Mgm, Method::Mgm2, Method::Dsa, Method::MaxSum] {
        let log = |problem: &Problem| {
            run(problem, method, &Options { log: true, max_cycles: 50, ..Options::default() }).log
        };
        let early = |log: &str| {
            let lines = log.lines().filter(|line| {
                let time: u64 = line.split(' ').next().unwrap().parse().unwrap();
                let from = line.split(' ').nth(2).unwrap();
                time <= 8 && (from.starts_with("0->") || from.starts_with("1->"))
            });
            // Max-sum's noise scales with the range of all costs, which is known to whoever starts the run.
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (a, b) = (log(&near), log(&far));
        assert_ne!(a, b);
        if method != Method::MaxSum {
            // One run may come to rest before the other.
            let n = early(&a).len().min(early(&b).len());
            assert!(n > 20);
            assert_eq!(early(&a)[..n], early(&b)[..n], "{method:?}");
        }
    }
}

#[test]
fn degenerate_problems_have_answers() {
    let empty = "name: nothing\nobjective: min\n";
    let lonely = "name: one\nobjective: max\ndomains: {d: {values: [1, 5, 3]}}\nvariables: {x: {domain: d, cost_function: x}}\n";
    let apart = "
name: apart
objective: min
domains: {d: {values: [0, 1]}}
variables: {a: {domain: d}, b: {domain: d}, c: {domain: d}, e: {domain: d}}
constraints:
  ab: {type: intention, function: a + b}
  ce: {type: intention, function: 0 if c != e else 1}
  fixed: {type: intention, function: 2 + 3}
";
    for method in Method::ALL {
        let outcome = run(&read(empty), method, &Options::default());
        assert_eq!((outcome.cost, outcome.assignment.len()), (0.0, 0), "{method:?}");
        assert_eq!(run(&read(lonely), method, &Options::default()).cost, 5.0, "{method:?}");
        assert_eq!(run(&read(apart), method, &Options::default()).cost, 5.0, "{method:?}");
    }
}

#[test]
fn a_watcher_can_end_a_run() {
    let problem = generators::generate("coloring:n=40,colors=3,edges=100,soft=1", 3).unwrap();
    for method in [Method::SyncBb, Method::Adopt, Method::Afb, Method::Mgm, Method::Dsa, Method::MaxSum] {
        let outcome =
            solve(&problem, method, &Options::default(), &mut |progress| progress.messages < 1000).unwrap();
        assert_eq!(outcome.status, Status::Timeout, "{method:?}");
        assert_eq!(outcome.assignment.len(), 40);
    }
}

#[test]
fn generators_make_what_they_say() {
    let ising = generators::generate("ising:rows=3,columns=4", 1).unwrap();
    assert_eq!((ising.variables.len(), ising.constraints.len()), (12, 24));
    assert_eq!(ising.constraints[0].table[0], -ising.constraints[0].table[1]);
    let meetings = generators::generate("meetings", 1).unwrap();
    assert_eq!((meetings.variables.len(), meetings.n_values(0)), (6, 5));
    let sensors = generators::generate("sensors", 1).unwrap();
    assert_eq!((sensors.variables.len(), sensors.constraints.len()), (9, 3));
    assert_eq!(sensors.objective, Objective::Max);
    // Every target can be seen by two sensors here, so that the optimum is at most the sum of all weights.
    assert!(run(&sensors, Method::Dpop, &Options::default()).cost > 0.0);
    for text in
        ["colouring", "coloring:m=3", "coloring:n=x", "coloring:n=-1", "ising:rows=2", "sensors:targets=9"]
    {
        let error = generators::generate(text, 1).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
    assert_eq!(generators::generate("coloring", 1), generators::generate("coloring", 1));
    assert_ne!(generators::generate("coloring", 1), generators::generate("coloring", 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// What is written is read back, costs and all.
    #[test]
    fn problems_survive_their_text(seed in 0_u64..10_000, n in 1_usize..7) {
        let problem = random_problem(seed, n, (n - 1 + seed as usize % 3).min(n * (n - 1) / 2), false);
        let back = File::parse(&problem.to_yaml()).unwrap().problem().unwrap();
        prop_assert_eq!(&back.objective, &problem.objective);
        let mut values = vec![0; n];
        for _ in 0..50 {
            for (v, value) in values.iter_mut().enumerate() {
                *value = (*value + v + 1) % problem.n_values(v);
            }
            let (a, b) = (problem.cost(&values, f64::INFINITY), back.cost(&values, f64::INFINITY));
            prop_assert!((a.cost - b.cost).abs() < 1e-9);
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9:{}\\[\\], '|\\n-]{0,200}") {
        let _ = File::parse(&text).map(|file| file.problem());
    }
}
