//! Scenes as characters, for a terminal: in color with half blocks (two pixels a cell), or plain ASCII.
//!
//! A cell is taken to be twice as high as wide. Not here: moving the cursor, clearing the screen, finding out
//! what a terminal can do.

use std::fmt::Write as _;

use coact_core::scene::{Color, Scene, Shape};
use coact_core::{Error, Result};

use crate::picture::{self, Image};

/// Bounds for the number of columns.
const COLUMNS: std::ops::RangeInclusive<u32> = 32..=512;
/// Marks of discs, by the order in which their colors appear.
const DISC_MARKS: [char; 6] = ['@', 'o', '%', '&', '*', '+'];

/// The scene in 24-bit color, `columns` wide, its caption in the last line.
///
/// # Errors
/// Bounds that enclose nothing, or a number of columns outside 32 to 512.
pub fn colored(scene: &Scene, columns: u32) -> Result<String> {
    let image = rasterize(scene, columns)?;
    let letters = texts(scene, &image);
    let mut out = String::new();
    for row in 0..image.height / 2 {
        let mut colors = None;
        for column in 0..image.width {
            let (upper, lower) = (pixel(&image, column, 2 * row), pixel(&image, column, 2 * row + 1));
            let letter = letters.iter().find(|l| (l.column, l.row) == (column, row));
            let (mark, ink, paper) = match letter {
                Some(letter) => (letter.character, letter.ink, lower),
                None => ('▀', upper, lower),
            };
            if colors != Some((ink, paper)) {
                let (Color(r, g, b), Color(x, y, z)) = (ink, paper);
                let _ = write!(out, "\x1b[38;2;{r};{g};{b};48;2;{x};{y};{z}m");
                colors = Some((ink, paper));
            }
            out.push(mark);
        }
        out.push_str("\x1b[0m\n");
    }
    push_caption(&mut out, scene, columns);
    Ok(out)
}

/// The scene in ASCII, `columns` wide, its caption in the last line. Boxes are `#`, lines follow their slope,
/// discs of each color have their own mark; what is in front hides what is behind.
///
/// # Errors
/// Bounds that enclose nothing, or a number of columns outside 32 to 512.
pub fn plain(scene: &Scene, columns: u32) -> Result<String> {
    let image = rasterize(&Scene { shapes: Vec::new(), ..scene.clone() }, columns)?;
    let grid = Grid::new(scene, &image);
    let mut cells = vec![' '; (grid.columns * grid.rows) as usize];
    let mut disc_colors: Vec<Color> = Vec::new();
    for shape in &scene.shapes {
        match shape {
            Shape::Disc { x, y, radius, color } => {
                let known = disc_colors.iter().position(|c| c == color).unwrap_or(disc_colors.len());
                if known == disc_colors.len() {
                    disc_colors.push(*color);
                }
                let mark = DISC_MARKS[known % DISC_MARKS.len()];
                grid.fill(&mut cells, mark, (*x, *y), |px, py| (px - x).hypot(py - y) <= *radius);
            }
            Shape::Rect { x, y, width, height, .. } => {
                let inside = |px: f32, py: f32| px >= *x && px <= x + width && py >= *y && py <= y + height;
                grid.fill(&mut cells, '#', (x + width / 2.0, y + height / 2.0), inside);
            }
            Shape::Line { from, to, .. } => grid.line(&mut cells, *from, *to),
            Shape::Text { .. } => {}
        }
    }
    for letter in texts(scene, &image) {
        cells[(letter.row * grid.columns + letter.column) as usize] = letter.character;
    }
    let mut out = String::new();
    for row in cells.chunks_exact(grid.columns as usize) {
        out.push_str(row.iter().collect::<String>().trim_end());
        out.push('\n');
    }
    push_caption(&mut out, scene, columns);
    Ok(out)
}

/// The scene without its texts, one pixel per half cell.
fn rasterize(scene: &Scene, columns: u32) -> Result<Image> {
    if !COLUMNS.contains(&columns) {
        return Err(Error::invalid(format!("a view cannot have {columns} columns; choose 32 to 512")));
    }
    let shapes = scene.shapes.iter().filter(|s| !matches!(s, Shape::Text { .. })).cloned().collect();
    picture::render(&Scene { shapes, caption: String::new(), ..scene.clone() }, columns)
}

fn pixel(image: &Image, column: u32, row: u32) -> Color {
    let at = (row * image.width + column) as usize * 4;
    Color(image.rgba[at], image.rgba[at + 1], image.rgba[at + 2])
}

fn push_caption(out: &mut String, scene: &Scene, columns: u32) {
    let printable = scene.caption.chars().filter(|c| !c.is_control());
    out.extend(printable.take(columns as usize));
    out.push('\n');
}

/// A character of a text shape in its cell.
struct Letter {
    column: u32,
    row: u32,
    character: char,
    ink: Color,
}

fn texts(scene: &Scene, image: &Image) -> Vec<Letter> {
    let grid = Grid::new(scene, image);
    let mut letters = Vec::new();
    for shape in &scene.shapes {
        let Shape::Text { x, y, size, color, text } = shape else { continue };
        let Some((column, row)) = grid.cell(*x, y + size / 2.0) else { continue };
        let free = grid.columns.saturating_sub(column) as usize;
        for (i, character) in text.chars().take(free).enumerate() {
            let character = if character.is_control() { '?' } else { character };
            letters.push(Letter { column: column + i as u32, row, character, ink: *color });
        }
    }
    // The last one in a cell is in front.
    letters.reverse();
    letters.sort_by_key(|l| (l.row, l.column));
    letters.dedup_by_key(|l| (l.row, l.column));
    letters
}

/// Cells over the part of the world that is shown.
struct Grid {
    columns: u32,
    rows: u32,
    /// World coordinates of the upper left corner.
    left: f32,
    top: f32,
    /// World size of half a cell's height, which is a cell's width.
    unit: f32,
}

impl Grid {
    fn new(scene: &Scene, image: &Image) -> Self {
        let (left, right, low, high) = scene.bounds;
        let (width, height) = (image.width as f32, image.height as f32);
        let unit = ((right - left) / width).max((high - low) / height);
        Self {
            columns: image.width,
            rows: image.height / 2,
            left: (left + right) / 2.0 - width * unit / 2.0,
            top: (low + high) / 2.0 + height * unit / 2.0,
            unit,
        }
    }

    /// The cell of a point, if it is in view.
    fn cell(&self, x: f32, y: f32) -> Option<(u32, u32)> {
        let (column, row) = ((x - self.left) / self.unit, (self.top - y) / self.unit / 2.0);
        let in_view = column >= 0.0 && row >= 0.0 && column < self.columns as f32 && row < self.rows as f32;
        in_view.then_some((column as u32, row as u32))
    }

    /// Marks the cells whose center is inside, and always the one of `center`.
    fn fill(&self, cells: &mut [char], mark: char, center: (f32, f32), inside: impl Fn(f32, f32) -> bool) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                let x = self.left + (column as f32 + 0.5) * self.unit;
                let y = self.top - (row as f32 + 0.5) * 2.0 * self.unit;
                if inside(x, y) {
                    cells[(row * self.columns + column) as usize] = mark;
                }
            }
        }
        self.mark(cells, mark, center);
    }

    fn mark(&self, cells: &mut [char], mark: char, (x, y): (f32, f32)) {
        if let Some((column, row)) = self.cell(x, y) {
            cells[(row * self.columns + column) as usize] = mark;
        }
    }

    fn line(&self, cells: &mut [char], from: (f32, f32), to: (f32, f32)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let slope = dy.abs() / dx.abs();
        let mark = match slope {
            _ if slope > 2.5 => '|',
            _ if slope < 0.4 => '-',
            _ if (dx > 0.0) == (dy > 0.0) => '/',
            _ => '\\',
        };
        // Enough points to touch every cell on the way; lines far longer than the view lose some.
        let n = 4 * (self.columns + self.rows);
        for i in 0..=n {
            let t = i as f32 / n as f32;
            self.mark(cells, mark, (from.0 + dx * t, from.1 + dy * t));
        }
    }
}
