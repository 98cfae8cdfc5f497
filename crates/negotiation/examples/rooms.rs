//! Four meetings find times by writing to each other: an optimum by DPOP, a quick answer by MGM; then two parties bargain
//! about a laptop. Uses this crate alone.
//!
//! `cargo run --release -p coact-negotiation --example rooms`

#![allow(clippy::print_stdout)]

use coact_negotiation::Result;
use coact_negotiation::bargaining::{Rule, Scenario, Strategy, Terms, negotiate, point};
use coact_negotiation::dcop::{Method, Options, generators, solve};

const LAPTOP: &str = "
name: laptop
issues:
  - {name: model, values: [plain, fast]}
  - {name: warranty, values: [one year, three years]}
buyer: {weights: [0.6, 0.4], evaluations: [[1, 3], [1, 2]]}
seller: {weights: [0.3, 0.7], evaluations: [[3, 1], [4, 1]]}
";

fn main() -> Result<()> {
    let problem = generators::generate("meetings:meetings=4,people=6,slots=5", 1)?;
    for method in [Method::Dpop, Method::Mgm] {
        let outcome = solve(&problem, method, &Options::default(), &mut |_| true)?;
        let sent = outcome.counts.sent;
        println!("{}: slots {:?}, cost {}, {sent} messages", method.name(), outcome.assignment, outcome.cost);
    }
    let scenario = Scenario::parse(LAPTOP)?;
    let strategies = vec![Strategy::parse("boulware")?, Strategy::parse("conceder")?];
    let talk = negotiate(&scenario, &Terms { strategies, n_rounds: 50, seed: 1, log: false })?;
    println!("talk: {:?} after {} offers", talk.agreement.map(|o| scenario.describe(o)), talk.offers.len());
    println!("Nash: {:?}", point(&scenario.space()?, Rule::Nash).map(|o| scenario.describe(o)));
    Ok(())
}
