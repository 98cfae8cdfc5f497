//! Scenes as characters.

#![allow(clippy::unwrap_used)]

use coact_core::scene::{Color, Scene, Shape};
use coact_draw::terminal::{colored, plain};

fn scene() -> Scene {
    let (red, blue) = (Color(255, 0, 0), Color(0, 0, 255));
    Scene {
        bounds: (0.0, 32.0, 0.0, 16.0),
        background: Color(255, 255, 255),
        shapes: vec![
            Shape::Line { from: (0.0, 1.0), to: (32.0, 1.0), width: 0.1, color: blue },
            Shape::Rect { x: 2.0, y: 2.0, width: 6.0, height: 4.0, color: blue },
            Shape::Line { from: (5.0, 6.5), to: (5.0, 14.0), width: 0.1, color: red },
            Shape::Disc { x: 20.0, y: 9.0, radius: 3.0, color: red },
            Shape::Disc { x: 27.0, y: 9.0, radius: 0.1, color: blue },
            Shape::Text { x: 12.0, y: 14.0, size: 1.0, color: blue, text: "hi\u{7}!".into() },
        ],
        caption: "step 3\u{1b}".into(),
    }
}

#[test]
fn plain_text_shows_every_shape() {
    let expected = [
        "            hi?!",
        "     |",
        "     |            @@@@",
        "     |           @@@@@@    o",
        "     |            @@@@",
        "  ######",
        "  ######",
        "--------------------------------",
        "step 3",
        "",
    ];
    let text = plain(&scene(), 32).unwrap();
    assert_eq!(text.split('\n').collect::<Vec<_>>(), expected, "\n{text}");
}

#[test]
fn colored_text_has_the_colors_and_ends_every_line_plain() {
    let text = colored(&scene(), 64).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 17);
    for line in &lines[..16] {
        assert!(line.ends_with("\x1b[0m"));
        // Cells are characters outside escape sequences.
        let cells: usize =
            line.split('\x1b').map(|s| s.chars().skip_while(|&c| c != 'm').skip(1).count()).sum();
        assert_eq!(cells, 64);
    }
    assert!(text.contains("38;2;255;0;0;48;2;255;0;0m▀"), "the inside of the disc");
    assert_eq!(lines[16], "step 3", "no escape sequence gets through a caption");
    assert!(!text.contains('\u{7}'));
}

#[test]
fn odd_scenes_are_an_error_or_clean_text() {
    let odd = [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN, -1.0, 0.0];
    for a in odd {
        for b in odd {
            let color = Color(0, 0, 0);
            let shapes = vec![
                Shape::Disc { x: a, y: 0.5, radius: b, color },
                Shape::Rect { x: a, y: b, width: a, height: b, color },
                Shape::Line { from: (a, b), to: (b, 0.5), width: a, color },
                Shape::Text { x: a, y: 0.5, size: b, color, text: "text".into() },
            ];
            let scene = Scene { shapes, ..scene() };
            assert_eq!(plain(&scene, 40).unwrap().lines().count(), 11);
            assert_eq!(colored(&scene, 40).unwrap().lines().count(), 11);
            assert!(plain(&Scene { bounds: (0.0, 0.0, a, b), ..scene }, 40).is_err());
        }
    }
    assert!(plain(&scene(), 0).is_err() && colored(&scene(), 10_000).is_err());
}
