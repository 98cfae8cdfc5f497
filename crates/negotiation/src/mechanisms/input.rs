//! Mechanisms as files, in JSON or YAML, by names: auctions (`bids`), matchings (`proposers` and `reviewers`), houses
//! (`preferences`). Not here: the mechanisms.

use serde_json::{Map, Value, json};

use super::auctions::{BundleBid, first_price, second_price, vcg};
use super::matching::{Preferences, deferred_acceptance, top_trading_cycles};
use crate::yaml::{Data, Node};
use crate::{Error, Result};

/// A mechanism with what its participants say.
#[derive(Debug, Clone, PartialEq)]
pub enum Mechanism {
    /// One item: names and bids.
    Item {
        /// Who bids.
        bidders: Vec<String>,
        /// How much.
        bids: Vec<f64>,
    },
    /// Bundles of items.
    Bundles {
        /// Items.
        items: Vec<String>,
        /// Who bids.
        bidders: Vec<String>,
        /// For what, and how much.
        bids: Vec<BundleBid>,
    },
    /// Two sides.
    Matching {
        /// Names of proposers.
        proposers: Vec<String>,
        /// Names of reviewers.
        reviewers: Vec<String>,
        /// Whom proposers like.
        proposer_lists: Preferences,
        /// Whom reviewers like.
        reviewer_lists: Preferences,
        /// How many each reviewer takes.
        room: Vec<usize>,
    },
    /// Owners of houses.
    Houses {
        /// Names of owners, and of their houses.
        owners: Vec<String>,
        /// What they like.
        lists: Preferences,
    },
}

/// What a mechanism decides, as an object for people and programs.
#[derive(Debug, Clone, PartialEq)]
pub struct MechanismAnswer {
    /// Which mechanism.
    pub method: &'static str,
    /// The answer: `allocation`, `payments` and `welfare`; `matching` and `proposals`; or `assignment`.
    pub answer: Map<String, Value>,
}

impl Mechanism {
    /// Whether a text looks like one: it has one of the keys `bids`, `proposers`, `preferences`.
    pub fn is_one(text: &str) -> bool {
        let has =
            |node: &Node| ["bids", "proposers", "preferences"].iter().any(|key| node.get(key).is_some());
        Node::parse(text).is_ok_and(|node| has(&node))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Text`] with line, column and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let root = Node::parse(text)?;
        root.check_keys()?;
        if let Some(bids) = root.get("bids") {
            return auction(&root, bids);
        }
        if let Some(node) = root.get("proposers") {
            let other = root.need("reviewers", "a matching")?;
            let (proposers, reviewers) = (names(node, "`proposers`")?, names(other, "`reviewers`")?);
            let mut room = vec![1; reviewers.len()];
            if let Some(node) = root.get("room") {
                for (key, value) in node.map("`room`")? {
                    let size = value.number("a number of places")?;
                    if size.fract() != 0.0 || !(0.0..=1e6).contains(&size) {
                        return Err(Error::text(
                            value.at,
                            format!("expected a number of places, found {size}"),
                        ));
                    }
                    room[index(key, &reviewers)?] = size as usize;
                }
            }
            return Ok(Self::Matching {
                proposer_lists: lists(node, &reviewers)?,
                reviewer_lists: lists(other, &proposers)?,
                proposers,
                reviewers,
                room,
            });
        }
        let node = root.need("preferences", "a mechanism (or `bids`, or `proposers`)")?;
        let owners = names(node, "`preferences`")?;
        Ok(Self::Houses { lists: lists(node, &owners)?, owners })
    }

    /// The mechanisms that fit, the usual one first.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Item { .. } => &["second-price", "first-price"],
            Self::Bundles { .. } => &["vcg"],
            Self::Matching { .. } => &["deferred-acceptance"],
            Self::Houses { .. } => &["top-trading-cycles"],
        }
    }

    /// Runs a mechanism.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a method that does not fit, and the errors of the mechanism.
    pub fn run(&self, method: &str) -> Result<MechanismAnswer> {
        let known = self.methods();
        let Some(&method) = known.iter().find(|name| **name == method) else {
            let hint = coact_core::nearest::hint(method, known.iter().copied());
            let message = format!("`{method}` does not fit this file: use {}{hint}", known.join(" or "));
            return Err(Error::invalid(message));
        };
        let answer = match self {
            Self::Item { bidders, bids } => {
                let sale = if method == "first-price" { first_price(bids)? } else { second_price(bids)? };
                let zero = || bidders.iter().map(|name| (name.clone(), json!(0.0))).collect::<Map<_, _>>();
                let mut payments = zero();
                if let Some(sale) = sale {
                    payments.insert(bidders[sale.winner].clone(), json!(sale.price));
                }
                object(json!({"winner": sale.map(|sale| &bidders[sale.winner]), "payments": payments}))
            }
            Self::Bundles { items, bidders, bids } => {
                let sale = vcg(items.len(), bidders.len(), bids)?;
                let won = |bid: &usize| {
                    bids[*bid].items.iter().map(|&item| items[item].clone()).collect::<Vec<_>>()
                };
                let allocation = bidders.iter().zip(&sale.wins);
                let allocation =
                    allocation.map(|(name, bid)| (name.clone(), json!(bid.as_ref().map_or(vec![], won))));
                let payments =
                    bidders.iter().cloned().zip(sale.payments.iter().map(|payment| json!(payment)));
                object(json!({
                    "allocation": allocation.collect::<Map<_, _>>(),
                    "payments": payments.collect::<Map<_, _>>(),
                    "welfare": sale.welfare,
                }))
            }
            Self::Matching { proposers, reviewers, proposer_lists, reviewer_lists, room } => {
                let matching = deferred_acceptance(proposer_lists, reviewer_lists, room)?;
                let pairs = proposers.iter().cloned().zip(&matching.of_proposers);
                let pairs =
                    pairs.map(|(name, partner)| (name, json!(partner.map(|reviewer| &reviewers[reviewer]))));
                object(json!({"matching": pairs.collect::<Map<_, _>>(), "proposals": matching.n_proposals}))
            }
            Self::Houses { owners, lists } => {
                let houses = top_trading_cycles(lists)?;
                let pairs = owners.iter().cloned().zip(houses.iter().map(|&house| json!(owners[house])));
                object(json!({"assignment": pairs.collect::<Map<_, _>>()}))
            }
        };
        Ok(MechanismAnswer { method, answer })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn names(node: &Node, what: &str) -> Result<Vec<String>> {
    node.map(what)?.iter().map(|(key, _)| key.text("a name")).collect()
}

fn index(node: &Node, names: &[String]) -> Result<usize> {
    let name = node.text("a name")?;
    names.iter().position(|known| *known == name).ok_or_else(|| {
        let hint = coact_core::nearest::hint(&name, names.iter().map(String::as_str));
        Error::text(node.at, format!("expected a name of this file, found `{name}`{hint}"))
    })
}

fn lists(node: &Node, others: &[String]) -> Result<Preferences> {
    let mut all = Vec::new();
    for (_, list) in node.map("preferences")? {
        let mut own: Vec<usize> = Vec::new();
        for item in list.list("a list of names, the best first")? {
            let other = index(item, others)?;
            if own.contains(&other) {
                return Err(Error::text(
                    item.at,
                    format!("expected each name once, found `{}` again", others[other]),
                ));
            }
            own.push(other);
        }
        all.push(own);
    }
    Ok(all)
}

fn bid_of(node: &Node) -> Result<f64> {
    let value = node.number("a bid")?;
    if (0.0..=f64::MAX).contains(&value) {
        return Ok(value);
    }
    Err(Error::text(node.at, format!("expected a bid from 0 up, found {value}")))
}

fn auction(root: &Node, node: &Node) -> Result<Mechanism> {
    if let Data::Map(pairs) = &node.data {
        let bids = pairs.iter().map(|(_, bid)| bid_of(bid)).collect::<Result<_>>()?;
        return Ok(Mechanism::Item { bidders: names(node, "`bids`")?, bids });
    }
    let items = root.need("items", "an auction of bundles")?.list("`items`")?;
    let items = items.iter().map(|item| item.text("an item")).collect::<Result<Vec<_>>>()?;
    let (mut bidders, mut bids) = (Vec::<String>::new(), Vec::new());
    for entry in node.list("`bids`: a list, or a map of names and numbers")? {
        let name = entry.need("bidder", "a bid")?.text("a bidder")?;
        let bidder = bidders.iter().position(|known| *known == name).unwrap_or_else(|| {
            bidders.push(name);
            bidders.len() - 1
        });
        let mut own = Vec::new();
        for item in entry.need("items", "a bid")?.list("`items`")? {
            let place = index(item, &items)?;
            if own.contains(&place) {
                return Err(Error::text(
                    item.at,
                    format!("expected each item once, found `{}` again", items[place]),
                ));
            }
            own.push(place);
        }
        bids.push(BundleBid { bidder, items: own, value: bid_of(entry.need("value", "a bid")?)? });
    }
    Ok(Mechanism::Bundles { items, bidders, bids })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, method: &str) -> Value {
        assert!(Mechanism::is_one(text));
        Value::Object(Mechanism::parse(text).unwrap().run(method).unwrap().answer)
    }

    #[test]
    fn files_of_all_kinds_are_read() {
        let bundles =
            "{items: [A, B], bids: [{bidder: x, items: [A, B], value: 10}, {bidder: y, items: [A], value: 6},
                        {bidder: z, items: [B], value: 7}]}";
        let sale = answer(bundles, "vcg");
        assert_eq!(sale["payments"], json!({"x": 0.0, "y": 3.0, "z": 4.0}));
        assert_eq!(sale["allocation"], json!({"x": [], "y": ["A"], "z": ["B"]}));
        let item = "bids: {ann: 3, bob: 5}";
        assert_eq!(
            answer(item, "second-price"),
            json!({"winner": "bob", "payments": {"ann": 0.0, "bob": 3.0}})
        );
        assert_eq!(answer(item, "first-price")["payments"]["bob"], 5.0);
        let matching = "{proposers: {a: [x, y], b: [x]}, reviewers: {x: [b, a], y: [a]}}";
        assert_eq!(answer(matching, "deferred-acceptance")["matching"], json!({"a": "y", "b": "x"}));
        let houses = "preferences: {a: [b, a], b: [a, b], c: [a]}";
        assert_eq!(answer(houses, "top-trading-cycles")["assignment"], json!({"a": "b", "b": "a", "c": "c"}));
    }

    #[test]
    fn faults_are_placed() {
        let cases = [
            ("bids: {ann: -3}", 1, 13),
            ("{items: [A], bids: [{bidder: x, items: [B], value: 1}]}", 1, 41),
            ("proposers:\n  a: [z]\nreviewers:\n  x: []\n", 2, 7),
            ("preferences:\n  a: [a, a]\n", 2, 10),
            ("sellers: 3", 1, 1),
        ];
        for (text, line, column) in cases {
            match Mechanism::parse(text) {
                Err(Error::Text { at, .. }) => assert_eq!((at.line, at.column), (line, column), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        let item = Mechanism::parse("bids: {ann: 3}").unwrap();
        assert!(item.run("vcg").unwrap_err().to_string().contains("second-price or first-price"));
    }
}
