//! The page about runs. With COACT_PICTURES set to a folder, pages are written there to be looked at.

#![allow(clippy::unwrap_used)]

use coact::report::{EvaluationSummary, Picture, RunSummary, html_report};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{Purpose, Stream};
use coact_runner::metrics::Record;

fn run(env: &str, algorithm: &str, seed: u64, learning_rate: &str, level: f64) -> RunSummary {
    let mut noise = Stream::new(seed, Purpose::Step, 0, (level * 100.0) as u64);
    let mut metrics = Vec::new();
    for i in 0..=100_u64 {
        let t = i as f64 / 100.0;
        let value = -78.0 + (78.0 + level) * (1.0 - (-5.0 * t).exp()) + 2.5 * noise.normal();
        let mut values = vec![
            ("train/return".to_string(), value - 6.0 + 3.0 * noise.normal()),
            ("learn/loss".to_string(), (0.4 * (-3.0 * t).exp() + 0.05) * (1.0 + 0.2 * noise.normal())),
            ("learn/q_mean".to_string(), -10.0 * t),
            ("explore/epsilon".to_string(), (1.0 - 5.0 * t).max(0.05)),
            ("speed/env_steps_per_s".to_string(), 152_000.0 + 6_000.0 * noise.normal()),
            ("replay/size".to_string(), (t * 1e6).min(3e5)),
        ];
        if i % 5 == 0 {
            values.push(("eval/return".to_string(), value));
        }
        metrics.push(Record { env_steps: i * 20_000, wall_s: t * 63.0, values });
    }
    let config = [
        ("seed", &*seed.to_string()),
        ("env", env),
        ("algorithm", algorithm),
        ("gamma", "0.95"),
        ("learning_rate", learning_rate),
        ("hidden", "[64, 64]"),
        ("batch_size", "256"),
        ("n_step", "1"),
        ("double", "true"),
    ];
    RunSummary {
        name: format!("{algorithm}-seed{seed}"),
        env: env.to_string(),
        algorithm: algorithm.to_string(),
        seed,
        env_steps: 2_000_000,
        wall_s: 63.2,
        config: config.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect(),
        config_hash: format!("{env}{algorithm}{learning_rate}")
            .bytes()
            .map(|b| format!("{b:02x}"))
            .take(8)
            .collect::<String>()
            + learning_rate,
        params_hash: format!("{seed:064x}"),
        metrics,
        evaluation: Some(EvaluationSummary {
            episodes: 320,
            return_mean: level + 0.3 * seed as f64,
            return_std: 4.2,
            return_per_agent: (0..3).map(|i| (format!("agent_{i}"), level / 3.0 + f64::from(i))).collect(),
            random_return_mean: -78.4,
        }),
        pictures: Vec::new(),
    }
}

fn picture() -> Picture {
    let scene = |x: f32| Scene {
        bounds: (-1.0, 1.0, -0.5, 0.5),
        background: Color(250, 250, 252),
        shapes: vec![Shape::Disc { x, y: 0.0, radius: 0.2, color: Color(66, 135, 245) }],
        caption: "an episode".into(),
    };
    let scenes: Vec<Scene> = (0..10).map(|i| scene(i as f32 / 10.0 - 0.5)).collect();
    Picture { caption: "greedy episode".into(), bytes: coact_draw::picture::gif(&scenes, 360, 50).unwrap() }
}

fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("COACT_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name), page).unwrap();
    }
}

/// No address, no script, nothing that a browser would load.
fn assert_self_contained(page: &str) {
    for word in ["http:", "https:", "//", "<script", "<link", "<iframe", "@import", "url(", "javascript"] {
        // Picture data may hold any characters.
        let text: String = page.split('"').filter(|part| !part.starts_with("data:image")).collect();
        assert!(!text.contains(word), "{word}");
    }
    let images: Vec<&str> = page.split("<img ").skip(1).map(|tag| tag.split('>').next().unwrap()).collect();
    assert!(images.iter().all(|tag| tag.contains(" src=\"data:image/")), "{images:?}");
}

#[test]
fn one_run_is_a_page_with_its_numbers() {
    let mut one = run("simple_spread", "vdn", 3, "0.001", -26.0);
    one.pictures.push(picture());
    let page = html_report(&[one]).unwrap();
    keep("one.html", &page);
    assert_self_contained(&page);
    for text in [
        "vdn-seed3",
        "simple_spread",
        "-25.10",
        "-78.40",
        "2\u{202f}000\u{202f}000",
        "63.2",
        "31.65k",
        "agent_2",
        "320 episodes",
        "learning_rate",
        "data:image/gif;base64,R0lGODlh",
        "random policy",
        "learn/loss",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("class=\"band"), "one run has no interval");
    assert!(!page.contains("Final return by group"));
}

#[test]
fn seeds_of_one_setting_are_joined_and_settings_that_differ_are_lit() {
    let mut runs: Vec<RunSummary> = (0..8).map(|s| run("simple_spread", "vdn", s, "0.001", -26.0)).collect();
    runs.extend((0..5).map(|s| run("simple_spread", "vdn", s, "0.0003", -34.0)));
    runs.extend((0..2).map(|s| run("simple_spread", "double_dqn", s, "0.001", -42.0)));
    let page = html_report(&runs).unwrap();
    keep("many.html", &page);
    assert_self_contained(&page);
    for text in [
        "15 runs in 3 groups",
        "vdn (learning_rate 0.001), 8 seeds",
        "vdn (learning_rate 0.0003), 5 seeds",
        "double_dqn, 2 seeds",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // The interquartile mean of -26 + 0.3 s over s = 0..8 cuts two at each end: s = 3.5.
    assert!(page.contains("<b>-24.95</b>"));
    let lit: Vec<&str> = page
        .split("<tr class=\"differs\">")
        .skip(1)
        .map(|row| row.split("</code>").next().unwrap())
        .collect();
    assert_eq!(lit, ["<td><code>algorithm", "<td><code>learning_rate"]);
    assert_eq!(html_report(&runs).unwrap(), page, "the same runs give the same page");
    let main = page.split("</svg>").next().unwrap();
    assert_eq!(main.matches("class=\"band").count(), 3);
}

#[test]
fn of_many_runs_the_best_of_each_group_is_pictured() {
    let mut runs: Vec<RunSummary> = (0..3).map(|s| run("simple_spread", "vdn", s, "1", -26.0)).collect();
    runs.push(run("simple_spread", "double_dqn", 7, "1", -26.0));
    for run in &mut runs {
        run.pictures = vec![picture(), picture()];
    }
    let page = html_report(&runs).unwrap();
    assert_eq!(page.matches("<img ").count(), 2);
    assert!(page.contains("vdn-seed2: greedy episode") && page.contains("double_dqn-seed7: greedy episode"));
    assert_eq!(html_report(&runs[..1]).unwrap().matches("<img ").count(), 2, "one run shows all");
}

#[test]
fn environments_have_their_own_charts() {
    let runs = [run("simple_spread", "vdn", 0, "1", -26.0), run("cartpole", "vdn", 0, "2", -26.0)];
    let page = html_report(&runs).unwrap();
    assert!(
        page.contains("<h2>Greedy return, simple_spread</h2>")
            && page.contains("<h2>Greedy return, cartpole</h2>")
    );
}

#[test]
fn unfinished_and_empty_runs_are_shown_as_such() {
    let empty = RunSummary { name: "torn".into(), wall_s: f64::NAN, ..RunSummary::default() };
    let page = html_report(std::slice::from_ref(&empty)).unwrap();
    assert!(page.contains("not finished") && page.contains("no data"));
    let page = html_report(&[empty, run("e", "a", 1, "1", 0.0)]).unwrap();
    assert!(!page.contains("NaN") && page.contains("not finished"));
    assert!(html_report(&[]).is_err());
}

#[test]
fn hostile_texts_stay_texts() {
    let evil = "</title><script>alert(1)</script>\"'><img src=x onerror=y>";
    let mut one = run(evil, evil, 0, evil, 1.0);
    one.name = evil.into();
    one.config_hash = evil.into();
    one.params_hash = evil.into();
    one.config.push((evil.into(), evil.into()));
    one.metrics[0].values.push((evil.into(), 1.0));
    one.evaluation.as_mut().unwrap().return_per_agent[0].0 = evil.into();
    one.pictures.push(Picture { caption: evil.into(), ..picture() });
    let mut other = one.clone();
    other.config_hash = "other".into();
    let page = html_report(&[one.clone(), other]).unwrap();
    assert_self_contained(&page);
    assert!(!page.contains("<img src=x"));
    one.pictures[0].bytes = b"<svg onload=alert(1)>".to_vec();
    assert!(html_report(&[one]).unwrap_err().to_string().contains("neither GIF nor PNG"));
}
