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
