//! Kitchens: what stands where. Not here: cooks, rules.

use coact_core::{Error, Result};

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Tile {
    Floor,
    Counter,
    Onions,
    Plates,
    Pot,
    Goal,
}

/// A kitchen without cooks.
#[derive(Debug, Clone, PartialEq)]
pub struct Kitchen {
    /// Name, or `custom`.
    pub name: String,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Tiles row by row.
    pub tiles: Vec<Tile>,
    /// Cells where the cooks start.
    pub starts: [usize; 2],
    /// Cells of the pots.
    pub pots: Vec<usize>,
}

/// The five classic kitchens: `W` counter, `O` onions, `B` plates, `P` pot, `X` goal, `1` and `2` the cooks.
pub const CLASSIC: [(&str, &str); 5] = [
    ("cramped_room", "WWPWW\nO1 2O\nW   W\nWBWXW"),
    ("asymmetric_advantages", "WWWWWWWWW\nO WXWOW X\nW   P   W\nW 1 P2  W\nWWWBWBWWW"),
    ("coordination_ring", "WWWPW\nW 1 P\nB2W W\nO   W\nWOXWW"),
    ("forced_coordination", "WWWPW\nO W2P\nO1W W\nB W W\nWWWXW"),
    ("counter_circuit", "WWWPPWWW\nW 1    W\nB WWWW X\nW     2W\nWWWOOWWW"),
];

/// Other names of the classic kitchens.
const ALIASES: [(&str, &str); 3] = [
    ("asymm_advantages", "asymmetric_advantages"),
    ("coord_ring", "coordination_ring"),
    ("forced_coord", "forced_coordination"),
];

impl Kitchen {
    /// A classic kitchen by name, or one that is drawn in several lines.
    ///
    /// # Errors
    /// An unknown name, or a drawing that is no kitchen (with line and column).
    pub fn find(layout: &str) -> Result<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == layout).map_or(layout, |(_, name)| name);
        if let Some((name, plan)) = CLASSIC.iter().find(|(known, _)| *known == name) {
            return Self::drawn(name, plan);
        }
        if layout.contains('\n') {
            return Self::drawn("custom", layout);
        }
        let known = CLASSIC.map(|(name, _)| name).join(", ");
        Err(Error::invalid(format!(
            "overcooked: there is no layout `{layout}`; known: {known}, or draw one in several lines"
        )))
    }

    fn drawn(name: &str, plan: &str) -> Result<Self> {
        let refuse = |what: String| Err(Error::invalid(format!("overcooked: layout: {what}")));
        let rows: Vec<&str> = plan.lines().filter(|line| !line.trim().is_empty()).collect();
        let (height, width) = (rows.len(), rows.first().map_or(0, |row| row.chars().count()));
        let (mut tiles, mut starts) = (Vec::new(), [None; 2]);
        for (y, row) in rows.iter().enumerate() {
            if row.chars().count() != width {
                return refuse(format!("line {} is not as long as the first; make it a rectangle", y + 1));
            }
            for (x, mark) in row.chars().enumerate() {
                let edge = y == 0 || x == 0 || y + 1 == height || x + 1 == width;
                let tile = match mark {
                    'W' => Tile::Counter,
                    'O' => Tile::Onions,
                    'B' => Tile::Plates,
                    'P' => Tile::Pot,
                    'X' => Tile::Goal,
                    ' ' => Tile::Floor,
                    '1' | '2' => {
                        starts[usize::from(mark == '2')] = Some(y * width + x);
                        Tile::Floor
                    }
                    _ => {
                        let (line, column) = (y + 1, x + 1);
                        return refuse(format!(
                            "line {line}, column {column} is `{mark}`; use W O B P X 1 2 or a blank"
                        ));
                    }
                };
                if edge && tile == Tile::Floor {
                    return refuse(format!("line {}, column {} opens the edge; close it", y + 1, x + 1));
                }
                tiles.push(tile);
            }
        }
        if height > 32 || width > 32 {
            return refuse(format!("{width} x {height} cells are too many; use up to 32 on a side"));
        }
        let [Some(first), Some(second)] = starts else {
            return refuse("the cooks `1` and `2` must both be in it".into());
        };
        let pots = (0..tiles.len()).filter(|cell| tiles[*cell] == Tile::Pot).collect();
        Ok(Self { name: name.into(), height, width, tiles, starts: [first, second], pots })
    }

    /// The cell in front of another one: 0 up, 1 down, 2 right, 3 left. Cooks never stand on the edge.
    pub fn ahead(&self, cell: usize, facing: u32) -> usize {
        match facing {
            0 => cell - self.width,
            1 => cell + self.width,
            2 => cell + 1,
            _ => cell - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_classic_kitchens_are_whole() {
        for (name, _) in CLASSIC {
            let kitchen = Kitchen::find(name).unwrap();
            for tile in [Tile::Onions, Tile::Plates, Tile::Pot, Tile::Goal, Tile::Counter] {
                assert!(kitchen.tiles.contains(&tile), "{name} lacks {tile:?}");
            }
        }
        assert_eq!(Kitchen::find("coord_ring").unwrap().name, "coordination_ring");
        for (bad, word) in [
            ("big_room", "known: cramped_room"),
            ("WW\nW", "line 2"),
            ("WWW\nW?W\nWWW", "line 2, column 2"),
            ("WWW\n1 W\nWWW", "opens the edge"),
            ("WWW\nW1W\nWWW", "cooks"),
        ] {
            let text = Kitchen::find(bad).unwrap_err().to_string();
            assert!(text.contains(word) && !text.contains('\n'), "{text}");
        }
    }
}
