//! What an environment looks like at a moment, as plain shapes. Environments describe; whoever draws decides
//! on pixels, characters or files.

/// An opaque color, red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

/// One shape in world coordinates, y upward, drawn in list order.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A filled disc.
    Disc {
        /// Center x.
        x: f32,
        /// Center y.
        y: f32,
        /// Radius.
        radius: f32,
        /// Fill.
        color: Color,
    },
    /// A filled, axis-aligned box.
    Rect {
        /// Left edge.
        x: f32,
        /// Lower edge.
        y: f32,
        /// Width.
        width: f32,
        /// Height.
        height: f32,
        /// Fill.
        color: Color,
    },
    /// A straight line.
    Line {
        /// Start.
        from: (f32, f32),
        /// End.
        to: (f32, f32),
        /// Width in world units.
        width: f32,
        /// Stroke.
        color: Color,
    },
    /// A short text, its left end at the base line.
    Text {
        /// Left end x.
        x: f32,
        /// Base line y.
        y: f32,
        /// Height of a capital in world units.
        size: f32,
        /// Ink.
        color: Color,
        /// The text, printable ASCII.
        text: String,
    },
}

/// Shapes and the part of the world to show.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Left, right, lower and upper bound of what is shown.
    pub bounds: (f32, f32, f32, f32),
    /// Background.
    pub background: Color,
    /// Shapes, the first at the back.
    pub shapes: Vec<Shape>,
    /// One line about the moment, for a caption.
    pub caption: String,
}

/// Height of a capital of a legend, as a share of the width of a scene: 39 letters fit into a row.
const LEGEND_SIZE: f32 = 0.03;

impl Scene {
    /// The scene with rows of colored squares below it and what each color means.
    pub fn with_legend(mut self, entries: &[(Color, &str)]) -> Self {
        let (left, right, low, high) = self.bounds;
        let size = LEGEND_SIZE * (right - left);
        let (mut x, mut y) = (left + 0.5 * size, low - 2.0 * size);
        for (color, text) in entries {
            let width = size * (2.7 + 6.0 / 7.0 * text.len() as f32);
            if x + width > right && x > left + size {
                (x, y) = (left + 0.5 * size, y - 1.8 * size);
            }
            let edge = Color(90, 94, 100);
            let side = 1.1 * size;
            self.shapes.push(Shape::Rect { x, y, width: side, height: side, color: edge });
            let (inner, gap) = (0.84 * side, 0.08 * side);
            self.shapes.push(Shape::Rect {
                x: x + gap,
                y: y + gap,
                width: inner,
                height: inner,
                color: *color,
            });
            let text = (*text).to_string();
            self.shapes.push(Shape::Text { x: x + 1.5 * size, y, size, color: Color(40, 44, 50), text });
            x += width;
        }
        self.bounds = (left, right, if entries.is_empty() { low } else { y - 0.7 * size }, high);
        self
    }

    /// The scene with a line of text below it.
    pub fn with_line(mut self, text: String) -> Self {
        let (left, right, low, high) = self.bounds;
        let size = LEGEND_SIZE * (right - left);
        let (x, y) = (left + 0.5 * size, low - 1.4 * size);
        self.shapes.push(Shape::Text { x, y, size, color: Color(40, 44, 50), text });
        self.bounds = (left, right, y - 0.6 * size, high);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_stands_below_and_within_the_width() {
        let caption = String::new();
        let scene =
            Scene { bounds: (-2.0, 6.0, 1.0, 5.0), background: Color(0, 0, 0), shapes: Vec::new(), caption };
        let entries = [
            (Color(1, 2, 3), "agent"),
            (Color(4, 5, 6), "a landmark that nobody is on"),
            (Color(7, 8, 9), "goal"),
        ];
        let whole = scene.clone().with_legend(&entries);
        let (left, right, low, high) = whole.bounds;
        assert_eq!((left, right, high), (-2.0, 6.0, 5.0));
        let mut rows = Vec::new();
        for shape in &whole.shapes {
            match shape {
                Shape::Rect { x, y, height, .. } => assert!(*x >= left && *y > low && y + height < 1.0),
                Shape::Text { x, y, size, text, .. } => {
                    assert!(x + size * 6.0 / 7.0 * text.len() as f32 <= right && *y > low);
                    rows.push(y.to_bits());
                }
                _ => panic!("a legend has no other shapes"),
            }
        }
        assert_eq!(rows.len(), 3);
        rows.dedup();
        assert_eq!(rows.len(), 2, "what does not fit goes into the next row");
        assert_eq!(scene.clone().with_legend(&[]), scene);
        let noted = whole.with_line("return 1.00".into());
        assert!(noted.bounds.2 < low && noted.shapes.len() == 10);
    }
}
