//! Pictures of scenes: one frame, a strip of frames side by side (PNG) and an animation (GIF).
//!
//! All frames of an animation or strip have one size, taken from the first scene. A shape with a coordinate
//! that is not finite is left out; a scene whose bounds enclose nothing is an error. Not here: what is shown.

use coact_core::scene::{Color, Scene, Shape};
use coact_core::{Error, Result};
use tiny_skia::{FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

use crate::font;
use crate::palette::Palette;

/// Bounds for the width of a frame in pixels.
const WIDTHS: std::ops::RangeInclusive<u32> = 32..=4096;
/// Coordinates are kept this close to the frame, in frame sizes. The rasterizer counts in 16.16 fixed point.
const REACH: f32 = 4.0;
const CAPTION_INK: Color = Color(70, 76, 84);
const PAPER: Color = Color(255, 255, 255);
/// Between a scene and its caption, and between frames.
const RULE: Color = Color(222, 226, 230);
/// Pixels between the frames of a strip.
const GAP: u32 = 4;

/// An opaque picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Red, green, blue, 255 per pixel, from the top left, row by row.
    pub rgba: Vec<u8>,
}

/// Sizes that all frames share.
#[derive(Debug, Clone, Copy)]
struct Layout {
    width: u32,
    scene_height: u32,
    /// Pixels of the strip below the scene, zero without captions.
    caption_height: u32,
    /// Pixels per dot of the caption's font.
    dot: u32,
}

impl Layout {
    fn new(scenes: &[Scene], width: u32) -> Result<Self> {
        let Some(first) = scenes.first() else {
            return Err(Error::invalid("there is nothing to draw; record at least one step"));
        };
        if !WIDTHS.contains(&width) {
            let text = format!("a picture cannot be {width} pixels wide; choose 32 to 4096");
            return Err(Error::invalid(text));
        }
        let (world_width, world_height) = extent(first)?;
        let aspect = (world_height / world_width).clamp(0.1, 2.0);
        let dot = (width / 240).max(1);
        let has_caption = scenes.iter().any(|s| !s.caption.is_empty());
        let caption_height = if has_caption { (font::HEIGHT + 5) * dot } else { 0 };
        Ok(Self { width, scene_height: ((width as f32 * aspect) as u32).max(8), caption_height, dot })
    }

    fn height(&self) -> u32 {
        self.scene_height + self.caption_height
    }
}

/// Width and height of what a scene shows.
fn extent(scene: &Scene) -> Result<(f32, f32)> {
    let (left, right, low, high) = scene.bounds;
    let (width, height) = (right - left, high - low);
    if width > 0.0 && height > 0.0 && width.is_finite() && height.is_finite() {
        return Ok((width, height));
    }
    Err(Error::invalid(format!(
        "a scene with the bounds {:?} shows nothing; give left < right and lower < upper",
        scene.bounds
    )))
}

/// Draws one scene, its caption below it.
///
/// # Errors
/// Bounds that enclose nothing, or a width that makes no picture.
pub fn render(scene: &Scene, width: u32) -> Result<Image> {
    let layout = Layout::new(std::slice::from_ref(scene), width)?;
    frame(scene, layout)
}

/// Draws `n_frames` of the scenes, evenly spaced from the first to the last, side by side. `width` is that of
/// one frame.
///
/// # Errors
/// No scenes, bounds that enclose nothing, or a width that makes no picture.
pub fn strip(scenes: &[Scene], n_frames: usize, width: u32) -> Result<Image> {
    let n_frames = n_frames.clamp(1, scenes.len().max(1));
    let last = scenes.len().saturating_sub(1);
    let chosen: Vec<Scene> = (0..n_frames)
        .map(|i| (i * last) / (n_frames - 1).max(1))
        .filter_map(|i| scenes.get(i))
        .cloned()
        .collect();
    let layout = Layout::new(&chosen, width)?;
    let total = chosen.len() as u32 * (layout.width + GAP) - GAP;
    if total > 1 << 16 {
        let text = format!("a strip cannot be {total} pixels wide; choose fewer or smaller frames");
        return Err(Error::invalid(text));
    }
    let Color(r, g, b) = RULE;
    let mut rgba = [r, g, b, 255].repeat(total as usize * layout.height() as usize);
    for (i, scene) in chosen.iter().enumerate() {
        let image = frame(scene, layout)?;
        let left = i * (layout.width + GAP) as usize * 4;
        let rows = image.rgba.chunks_exact(layout.width as usize * 4);
        for (to, from) in rgba.chunks_exact_mut(total as usize * 4).zip(rows) {
            to[left..left + from.len()].copy_from_slice(from);
        }
    }
    Ok(Image { width: total, height: layout.height(), rgba })
}

/// Encodes a picture as PNG.
///
/// # Errors
/// A picture whose sizes do not fit its pixels.
pub fn png(image: &Image) -> Result<Vec<u8>> {
    let unfit = |e: png::EncodingError| Error::invalid(format!("the picture cannot be encoded: {e}"));
    let rgb: Vec<u8> = image.rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, image.width, image.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(unfit)?;
    writer.write_image_data(&rgb).map_err(unfit)?;
    writer.finish().map_err(unfit)?;
    Ok(out)
}

/// Draws all scenes as an endless animation with `delay_ms` per frame (in steps of 10 ms, at least 20, because
/// viewers slow down faster ones). The last frame stays three quarters of a second longer.
///
/// # Errors
/// No scenes, bounds that enclose nothing, or a width that makes no picture.
pub fn gif(scenes: &[Scene], width: u32, delay_ms: u32) -> Result<Vec<u8>> {
    let unfit = |e: gif::EncodingError| Error::invalid(format!("the animation cannot be encoded: {e}"));
    let layout = Layout::new(scenes, width)?;
    // Frames are drawn twice: keeping an episode of them takes hundreds of megabytes.
    let mut palette = Palette::default();
    for scene in scenes {
        palette.count(&frame(scene, layout)?.rgba);
    }
    let mut mapper = palette.choose();
    let (w, h) = (layout.width as u16, layout.height() as u16);
    let mut out = Vec::new();
    let mut encoder = gif::Encoder::new(&mut out, w, h, mapper.colors()).map_err(unfit)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(unfit)?;
    let delay = (delay_ms / 10).clamp(2, 1000) as u16;
    let mut before: Option<Vec<u8>> = None;
    for (i, scene) in scenes.iter().enumerate() {
        let pixels = mapper.indices(&frame(scene, layout)?.rgba);
        let changed = before.as_ref().map_or((0, 0, w, h), |b| changed_box(b, &pixels, w));
        let (left, top, width, height) = changed;
        let rows = pixels.chunks_exact(w as usize).skip(top as usize).take(height as usize);
        let buffer: Vec<u8> =
            rows.flat_map(|row| &row[left as usize..(left + width) as usize]).copied().collect();
        let pause = if i + 1 == scenes.len() { 75 } else { 0 };
        let shown = gif::Frame {
            delay: delay + pause,
            dispose: gif::DisposalMethod::Keep,
            left,
            top,
            width,
            height,
            buffer: buffer.into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&shown).map_err(unfit)?;
        before = Some(pixels);
    }
    drop(encoder);
    Ok(out)
}

/// Left, top, width and height of where two frames differ, at least one pixel.
fn changed_box(before: &[u8], after: &[u8], width: u16) -> (u16, u16, u16, u16) {
    let width = width as usize;
    let (mut left, mut right, mut top, mut bottom) = (width, 0, usize::MAX, 0);
    for (y, (a, b)) in before.chunks_exact(width).zip(after.chunks_exact(width)).enumerate() {
        let Some(first) = a.iter().zip(b).position(|(a, b)| a != b) else { continue };
        let last = a.iter().zip(b).rposition(|(a, b)| a != b).unwrap_or(first);
        (left, right) = (left.min(first), right.max(last));
        (top, bottom) = (top.min(y), y);
    }
    if top == usize::MAX {
        return (0, 0, 1, 1);
    }
    (left as u16, top as u16, (right - left + 1) as u16, (bottom - top + 1) as u16)
}

/// From world to pixel coordinates: the same scale in both directions, centered.
struct View {
    scale: f32,
    left: f32,
    top: f32,
    size: (f32, f32),
}

impl View {
    fn x(&self, x: f32) -> f32 {
        limit((x - self.left) * self.scale, self.size.0)
    }

    fn y(&self, y: f32) -> f32 {
        limit((self.top - y) * self.scale, self.size.1)
    }

    /// A length in pixels. NaN and negative ones become zero.
    fn length(&self, length: f32) -> f32 {
        let reach = self.size.0.max(self.size.1) * REACH;
        let pixels = length * self.scale;
        if pixels > 0.0 { pixels.min(reach) } else { 0.0 }
    }
}

/// Keeps a coordinate near the frame of `size` pixels; NaN stays NaN.
fn limit(pixels: f32, size: f32) -> f32 {
    pixels.clamp(-REACH * size, (1.0 + REACH) * size)
}

fn frame(scene: &Scene, layout: Layout) -> Result<Image> {
    let (world_width, world_height) = extent(scene)?;
    let size = (layout.width as f32, layout.scene_height as f32);
    let scale = (size.0 / world_width).min(size.1 / world_height);
    let (left, right, low, high) = scene.bounds;
    let view = View {
        scale,
        left: (left + right) / 2.0 - size.0 / scale / 2.0,
        top: (low + high) / 2.0 + size.1 / scale / 2.0,
        size,
    };
    let Some(mut pixmap) = Pixmap::new(layout.width, layout.height()) else {
        return Err(Error::invalid("the picture is too large; choose a smaller width"));
    };
    let Color(r, g, b) = scene.background;
    pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
    for shape in &scene.shapes {
        draw_shape(&mut pixmap, &view, shape);
    }
    if layout.caption_height > 0 {
        draw_caption(&mut pixmap, layout, &scene.caption);
    }
    Ok(Image { width: layout.width, height: layout.height(), rgba: pixmap.take() })
}

fn paint(Color(r, g, b): Color) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

fn draw_shape(pixmap: &mut Pixmap, view: &View, shape: &Shape) {
    match shape {
        Shape::Disc { x, y, radius, color } => {
            let radius = view.length(*radius);
            if let Some(path) = circle(view.x(*x), view.y(*y), radius) {
                pixmap.fill_path(&path, &paint(*color), FillRule::Winding, Transform::identity(), None);
                outline(pixmap, &path, *color, radius);
            }
        }
        Shape::Rect { x, y, width, height, color } => {
            let edges = (view.x(*x), view.y(y + height), view.x(x + width), view.y(*y));
            if let Some(rect) = Rect::from_ltrb(edges.0, edges.1, edges.2, edges.3) {
                pixmap.fill_rect(rect, &paint(*color), Transform::identity(), None);
            }
        }
        Shape::Line { from, to, width, color } => {
            let mut builder = PathBuilder::new();
            builder.move_to(view.x(from.0), view.y(from.1));
            builder.line_to(view.x(to.0), view.y(to.1));
            let stroke =
                Stroke { width: view.length(*width).max(1.0), line_cap: LineCap::Round, ..Stroke::default() };
            if let Some(path) = builder.finish() {
                pixmap.stroke_path(&path, &paint(*color), &stroke, Transform::identity(), None);
            }
        }
        Shape::Text { x, y, size, color, text } => {
            let dot = view.length(*size) / font::CAPITAL as f32;
            draw_text(pixmap, (view.x(*x), view.y(*y)), dot, *color, text);
        }
    }
}

/// A circle; none where it has no extent or its center is unknown.
fn circle(x: f32, y: f32, radius: f32) -> Option<Path> {
    (x.is_finite() && y.is_finite() && radius > 0.0).then(|| PathBuilder::from_circle(x, y, radius))?
}

/// A darker edge, so that discs of one color stay apart where they touch.
fn outline(pixmap: &mut Pixmap, path: &Path, Color(r, g, b): Color, radius: f32) {
    if radius < 3.0 {
        return;
    }
    let darker = |c: u8| (u16::from(c) * 7 / 10) as u8;
    let stroke = Stroke { width: (radius * 0.07).clamp(1.0, 3.0), ..Stroke::default() };
    let paint = paint(Color(darker(r), darker(g), darker(b)));
    pixmap.stroke_path(path, &paint, &stroke, Transform::identity(), None);
}

/// Draws text with its left end on the base line at pixel `(x, y)`, `dot` pixels per dot of the font. Sizes
/// near a whole number of pixels are snapped to it, which keeps small text crisp.
fn draw_text(pixmap: &mut Pixmap, (x, y): (f32, f32), dot: f32, color: Color, text: &str) {
    let snapped = dot.round();
    let (dot, x, y) = if (dot - snapped).abs() < 0.25 && snapped > 0.0 {
        (snapped, x.round(), y.round())
    } else {
        (dot, x, y)
    };
    let (n_columns, paint) = (pixmap.width() as f32, paint(color));
    if !(dot > 0.05 && x.is_finite() && y.is_finite()) {
        return;
    }
    let mut builder = PathBuilder::new();
    for (i, character) in text.chars().enumerate() {
        let left = x + i as f32 * font::ADVANCE as f32 * dot;
        if left > n_columns {
            break;
        }
        for (row, bits) in font::glyph(character).iter().enumerate() {
            let top = y + (row as f32 - font::CAPITAL as f32) * dot;
            // One box per run of dots, so that no seams show between them.
            let mut column = 0;
            while column < font::WIDTH {
                let run = run_length(*bits, column);
                let start = left + column as f32 * dot;
                let rect = Rect::from_xywh(start, top, run as f32 * dot, dot);
                if let Some(rect) = rect.filter(|_| run > 0) {
                    builder.push_rect(rect);
                }
                column += run.max(1);
            }
        }
    }
    if let Some(path) = builder.finish() {
        pixmap.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }
}

/// How many dots are set in a row of a glyph from `column` on.
fn run_length(bits: u8, column: u32) -> u32 {
    (column..font::WIDTH).take_while(|c| bits >> (font::WIDTH - 1 - c) & 1 == 1).count() as u32
}

fn draw_caption(pixmap: &mut Pixmap, layout: Layout, caption: &str) {
    let (top, dot) = (layout.scene_height as f32, layout.dot as f32);
    let size = (layout.width as f32, layout.caption_height as f32);
    if let Some(rect) = Rect::from_xywh(0.0, top, size.0, size.1) {
        pixmap.fill_rect(rect, &paint(PAPER), Transform::identity(), None);
    }
    if let Some(rect) = Rect::from_xywh(0.0, top, size.0, 1.0) {
        pixmap.fill_rect(rect, &paint(RULE), Transform::identity(), None);
    }
    let n_fit = (layout.width / (font::ADVANCE * layout.dot)).saturating_sub(1) as usize;
    let mut text: String = caption.chars().take(n_fit).collect();
    if caption.chars().count() > n_fit {
        text = format!("{}..", caption.chars().take(n_fit.saturating_sub(2)).collect::<String>());
    }
    draw_text(pixmap, (3.0 * dot, top + (font::CAPITAL + 3) as f32 * dot), dot, CAPTION_INK, &text);
}
