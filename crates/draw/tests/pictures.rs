//! Pictures of scenes. With COACT_PICTURES set to a folder, they are written there to be looked at.

#![allow(clippy::unwrap_used)]

use coact_core::scene::{Color, Scene, Shape};
use coact_draw::picture::{gif, png, render, strip};

const BLUE: Color = Color(66, 135, 245);
const GRAY: Color = Color(90, 98, 110);
const WHITE: Color = Color(250, 250, 252);

/// Three agents on their way to three landmarks.
fn spread(t: f32) -> Scene {
    let mut shapes = Vec::new();
    for (x, y) in [(-0.6, 0.5), (0.7, 0.6), (0.1, -0.7)] {
        shapes.push(Shape::Disc { x, y, radius: 0.05, color: GRAY });
    }
    for (i, (x, y)) in [(-0.9, -0.8), (0.9, -0.4), (0.2, 0.9)].into_iter().enumerate() {
        let (gx, gy) = [(-0.6, 0.5), (0.7, 0.6), (0.1, -0.7)][i];
        let (x, y) = (x + (gx - x) * t, y + (gy - y) * t);
        shapes.push(Shape::Disc { x, y, radius: 0.15, color: BLUE });
        shapes.push(Shape::Text { x: x - 0.03, y: y - 0.04, size: 0.08, color: WHITE, text: i.to_string() });
    }
    Scene {
        bounds: (-1.2, 1.2, -1.2, 1.2),
        background: WHITE,
        shapes,
        caption: format!("simple_spread  step {:2}  return {:.2}", (t * 25.0) as u32, -30.0 * t),
    }
}

fn cart_pole(t: f32) -> Scene {
    let color = [Color(230, 126, 34), Color(52, 152, 219)];
    let mut shapes =
        vec![Shape::Line { from: (-2.4, 0.0), to: (2.4, 0.0), width: 0.02, color: Color(180, 186, 194) }];
    for (i, color) in color.into_iter().enumerate() {
        let (x, angle) = (i as f32 * 1.6 - 0.8 + 0.3 * (t * 6.0).sin(), 0.2 * (t * 9.0 + i as f32).cos());
        shapes.push(Shape::Rect { x: x - 0.25, y: -0.12, width: 0.5, height: 0.24, color });
        let tip = (x + angle.sin(), 0.12 + angle.cos());
        shapes.push(Shape::Line { from: (x, 0.12), to: tip, width: 0.08, color: Color(120, 80, 50) });
        shapes.push(Shape::Disc { x, y: 0.12, radius: 0.05, color: GRAY });
    }
    Scene {
        bounds: (-2.4, 2.4, -0.4, 1.4),
        background: WHITE,
        shapes,
        caption: format!("two-agent cartpole, step {}", (t * 500.0) as u32),
    }
}

fn letters() -> Scene {
    let lines = [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789 +-*/=<>()[]{}",
        "!\"#$%&',.:;?@\\^_`|~ The quick brown fox",
    ];
    let mut shapes = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let y = 3.3 - i as f32;
        shapes.push(Shape::Text { x: 0.1, y, size: 0.45, color: Color(30, 30, 34), text: (*line).into() });
    }
    Scene { bounds: (0.0, 16.0, 0.0, 4.0), background: WHITE, shapes, caption: "font".into() }
}

fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("COACT_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
    }
}

fn pixel(image: &coact_draw::picture::Image, x: f32, y: f32) -> [u8; 3] {
    let (column, row) = ((image.width as f32 * x) as usize, (image.height as f32 * y) as usize);
    let at = (row * image.width as usize + column) * 4;
    [image.rgba[at], image.rgba[at + 1], image.rgba[at + 2]]
}

#[test]
fn shapes_stand_where_the_world_says() {
    let shapes = vec![
        Shape::Rect { x: -1.0, y: -1.0, width: 1.0, height: 1.0, color: Color(255, 0, 0) },
        Shape::Disc { x: 0.5, y: 0.5, radius: 0.3, color: Color(0, 255, 0) },
        Shape::Line { from: (-0.9, 0.5), to: (-0.1, 0.5), width: 0.2, color: Color(0, 0, 255) },
    ];
    let scene = Scene { bounds: (-1.0, 1.0, -1.0, 1.0), background: WHITE, shapes, caption: String::new() };
    let image = render(&scene, 200).unwrap();
    assert_eq!((image.width, image.height), (200, 200));
    assert_eq!(pixel(&image, 0.25, 0.75), [255, 0, 0], "lower left");
    assert_eq!(pixel(&image, 0.75, 0.25), [0, 255, 0], "upper right");
    assert_eq!(pixel(&image, 0.25, 0.25), [0, 0, 255], "upper left");
    assert_eq!(pixel(&image, 0.75, 0.75), [250, 250, 252], "lower right is empty");
}

#[test]
fn pictures_encode_and_decode_to_the_same_pixels() {
    for (name, scene) in
        [("spread.png", spread(0.3)), ("cartpole.png", cart_pole(0.2)), ("font.png", letters())]
    {
        let image = render(&scene, 640).unwrap();
        let bytes = png(&image).unwrap();
        keep(name, &bytes);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        let ours: Vec<u8> = image.rgba.chunks(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        assert!(rgb == ours, "{name}");
    }
}

#[test]
fn a_strip_shows_frames_from_first_to_last() {
    let scenes: Vec<Scene> = (0..=25).map(|t| spread(t as f32 / 25.0)).collect();
    let image = strip(&scenes, 5, 200).unwrap();
    keep("strip.png", &png(&image).unwrap());
    assert_eq!(image.width, 5 * 200 + 4 * 4);
    let first = render(&scenes[0], 200).unwrap();
    let last = render(&scenes[25], 200).unwrap();
    let crop = |left: usize| -> Vec<u8> {
        image
            .rgba
            .chunks(image.width as usize * 4)
            .flat_map(|row| &row[left * 4..(left + 200) * 4])
            .copied()
            .collect()
    };
    assert!(crop(0) == first.rgba);
    assert!(crop(4 * 204) == last.rgba);
    assert_eq!(strip(&scenes[..1], 5, 200).unwrap().width, 200, "one scene makes one frame");
}

/// Decodes an animation as viewers do: every frame is painted over the one before.
fn decode(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u16>) {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).unwrap();
    let (w, h) = (decoder.width() as usize, decoder.height() as usize);
    let (mut canvas, mut frames, mut delays) = (vec![0; w * h * 4], Vec::new(), Vec::new());
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        let (left, top, width) = (frame.left as usize, frame.top as usize, frame.width as usize);
        for (y, row) in frame.buffer.chunks(width * 4).enumerate() {
            let at = ((top + y) * w + left) * 4;
            canvas[at..at + row.len()].copy_from_slice(row);
        }
        frames.push(canvas.clone());
        delays.push(frame.delay);
    }
    (frames, delays)
}

#[test]
fn an_animation_shows_every_frame() {
    for (name, make, n) in [("spread.gif", spread as fn(f32) -> Scene, 26), ("cartpole.gif", cart_pole, 60)] {
        let mut scenes: Vec<Scene> = (0..n).map(|t| make(t as f32 / (n - 1) as f32)).collect();
        scenes.push(scenes[n - 1].clone());
        let bytes = gif(&scenes, 400, 40).unwrap();
        keep(name, &bytes);
        let (frames, delays) = decode(&bytes);
        assert_eq!(frames.len(), n + 1);
        assert_eq!(delays[..n], vec![4; n]);
        assert_eq!(delays[n], 79, "the end stays");
        for (i, (scene, shown)) in scenes.iter().zip(&frames).enumerate() {
            let exact = render(scene, 400).unwrap().rgba;
            let gap = exact.iter().zip(shown).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(gap <= 24, "{name}, frame {i}: a channel is off by {gap}");
        }
    }
}

#[test]
fn odd_scenes_are_an_error_or_a_clean_picture() {
    let blank =
        Scene { bounds: (0.0, 1.0, 0.0, 1.0), background: WHITE, shapes: vec![], caption: String::new() };
    assert!(render(&blank, 64).unwrap().rgba.chunks(4).all(|p| p == [250, 250, 252, 255]));
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-40, -1.0, 0.0, 0.5];
    for a in odd {
        for b in odd {
            for bounds in [(a, b, 0.0, 1.0), (0.0, 1.0, a, b), (0.0, a, 0.0, b)] {
                let scene = Scene { bounds, ..spread(0.0) };
                let ok = bounds.0 < bounds.1 && bounds.2 < bounds.3;
                let image = render(&scene, 64);
                assert!(ok || image.is_err(), "{bounds:?}");
                assert!(
                    image.is_ok_and(|i| i.rgba.len() == (i.width * i.height * 4) as usize)
                        || bounds != (0.0, 0.5, 0.0, 0.5)
                );
            }
            let color = Color(0, 0, 0);
            let shapes = vec![
                Shape::Disc { x: a, y: 0.5, radius: b, color },
                Shape::Rect { x: a, y: b, width: a, height: b, color },
                Shape::Line { from: (a, b), to: (b, 0.5), width: a, color },
                Shape::Text { x: a, y: 0.5, size: b, color, text: "text \u{0} ü".into() },
            ];
            for shape in shapes {
                let scene = Scene { shapes: vec![shape], caption: "x".repeat(500), ..blank.clone() };
                render(&scene, 64).unwrap();
            }
        }
    }
    assert!(gif(&[], 100, 40).is_err());
    assert!(strip(&[], 3, 100).is_err());
    assert!(render(&blank, 0).is_err() && render(&blank, u32::MAX).is_err());
    let flat = Scene { bounds: (0.0, 1000.0, 0.0, 0.001), ..blank };
    assert!(render(&flat, 64).unwrap().height >= 6);
}
