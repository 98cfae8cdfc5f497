//! A moment of an allocation as shapes: a map of a team with the paths so far, or a table with the pairs so far.

use coact_core::scene::{Color, Scene, Shape};

use super::AllocationEnv;
use super::work::Course;
use super::work::Work;

const COLORS: [Color; 6] = [
    Color(0, 114, 178),
    Color(213, 94, 0),
    Color(0, 158, 115),
    Color(204, 121, 167),
    Color(230, 159, 0),
    Color(86, 180, 233),
];
const OPEN: Color = Color(170, 176, 182);
const INK: Color = Color(20, 20, 20);

fn color(agent: usize) -> Color {
    COLORS[agent % COLORS.len()]
}

pub(super) fn scene(env: &AllocationEnv) -> Scene {
    let n_taken = env.awards.len();
    let caption = format!("allocation, {n_taken} of {} tasks taken", env.owners.len());
    let (bounds, shapes) = match &env.work {
        Work::Team(course) => map(env, course),
        Work::Table(_) => table(env),
    };
    Scene { bounds, background: Color(255, 255, 255), shapes, caption }
}

type Drawing = ((f32, f32, f32, f32), Vec<Shape>);

fn map(env: &AllocationEnv, course: &Course) -> Drawing {
    let place = |p: [f64; 2]| [0, 1].map(|k| ((p[k] - course.corner[k]) / course.diagonal) as f32);
    let mut shapes = Vec::new();
    let (robots, tasks) = (course.team.robots(), course.team.tasks());
    let mut at: Vec<[f32; 2]> = robots.iter().map(|robot| place(robot.position)).collect();
    for &(agent, task) in &env.awards {
        let (from, to) = (at[agent as usize], place(tasks[task as usize].position));
        let (from, end) = ((from[0], from[1]), (to[0], to[1]));
        shapes.push(Shape::Line { from, to: end, width: 0.008, color: color(agent as usize) });
        at[agent as usize] = to;
    }
    for (task, value) in tasks.iter().enumerate() {
        let [x, y] = place(value.position);
        let color = env.owners[task].map_or(OPEN, color);
        shapes.push(Shape::Rect { x: x - 0.015, y: y - 0.015, width: 0.03, height: 0.03, color });
        let text = ascii(&env.names[task]);
        shapes.push(Shape::Text { x: x + 0.022, y: y - 0.01, size: 0.022, color: INK, text });
    }
    for (agent, robot) in robots.iter().enumerate() {
        let [x, y] = place(robot.position);
        shapes.push(Shape::Disc { x, y, radius: 0.022, color: color(agent) });
        let (text, y) = (ascii(&robot.name), y + 0.03);
        shapes.push(Shape::Text { x: x - 0.02, y, size: 0.022, color: INK, text });
    }
    // Small pictures draw letters no narrower than this.
    let right = shapes.iter().map(|shape| match shape {
        Shape::Text { x, size, text, .. } => x + 1.35 * size * text.len() as f32,
        _ => 0.0,
    });
    let points = robots.iter().map(|r| r.position).chain(tasks.iter().map(|t| t.position)).map(place);
    let (width, height) = points.fold((0.0, 0.0), |(w, h): (f32, f32), p| (w.max(p[0]), h.max(p[1])));
    ((-0.06, right.fold(width + 0.06, f32::max), -0.06, height + 0.08), shapes)
}

fn table(env: &AllocationEnv) -> Drawing {
    let (n_agents, n_tasks) = (env.counts.len(), env.owners.len());
    let mut shapes = Vec::new();
    for agent in 0..n_agents {
        for task in 0..n_tasks {
            let (x, y) = (task as f32 + 0.05, (n_agents - 1 - agent) as f32 + 0.05);
            let color = match (env.owners[task], env.prospect(agent, task)) {
                (Some(owner), _) if owner == agent => color(agent),
                (_, Some(_)) => OPEN,
                _ => Color(236, 240, 244),
            };
            shapes.push(Shape::Rect { x, y, width: 0.9, height: 0.9, color });
        }
    }
    ((-0.1, n_tasks as f32 + 0.1, -0.1, n_agents as f32 + 0.1), shapes)
}

/// Names may hold anything, pictures show ASCII.
fn ascii(name: &str) -> String {
    name.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}
