//! Games as environments and environments as games.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::{Actions, MultiAgentEnv, Purpose, Stream};
use coact_games::efg;
use coact_games::extensive::games::{ALL, Goofspiel, Prizes, by_name};
use coact_games::extensive::{AnyGame, EnvGame, Profile, TreeGame, TurnBased, assess};

/// Legal actions of an agent.
fn legal(env: &dyn MultiAgentEnv, agent: usize) -> Vec<u32> {
    let group = &env.spec().groups[0];
    let mut mask = vec![0; group.mask_words()];
    env.legal(agent, &mut mask);
    (0..group.action.n_discrete() as u32).filter(|a| mask[*a as usize / 32] >> (a % 32) & 1 == 1).collect()
}

/// Plays an episode uniformly; the return of agent 0, and the moves that were made.
fn episode(env: &mut dyn MultiAgentEnv, seed: u64, number: u64) -> (f64, u32) {
    let n = env.spec().n_agents();
    let width = env.spec().groups[0].obs_width();
    let mut rng = Stream::new(seed, Purpose::Reset, 0, number);
    let mut choice = Stream::new(seed, Purpose::Explore, 0, number);
    env.reset(&mut rng);
    let (mut reward, mut terminated, mut total) = (vec![0.0; n], vec![false; n], 0.0);
    let mut obs = vec![f32::NAN; width];
    for moves in 1..100 {
        let mut actions = Vec::new();
        let mut movers = 0;
        for agent in 0..n {
            env.observe(agent, &mut obs);
            assert!(obs.iter().all(|x| (0.0..=1.0).contains(x)));
            let legal = legal(env, agent);
            assert!(!legal.is_empty());
            movers += usize::from(
                legal.len() > 1 || legal[0] + 1 < env.spec().groups[0].action.n_discrete() as u32,
            );
            actions.push(legal[choice.below(legal.len() as u32) as usize]);
        }
        assert_eq!(movers, 1, "one player moves at a time");
        let actions = Actions { discrete: &actions, continuous: &[] };
        assert!(!env.step(actions, &mut rng, &mut reward, &mut terminated).unwrap());
        total += f64::from(reward[0]);
        assert!((reward.iter().sum::<f32>()).abs() < 1e-6, "zero-sum");
        if terminated[0] {
            assert!(terminated.iter().all(|t| *t) && !env.alive(0));
            return (total, moves);
        }
        assert!(reward.iter().all(|r| *r == 0.0));
    }
    panic!("the episode does not end");
}

/// Uniform play earns in the environment what the tree says.
#[test]
fn every_game_is_a_turn_based_environment() {
    for entry in ALL {
        let game = by_name(entry.name).unwrap();
        let mut env = game.environment().unwrap();
        for number in 0..200 {
            episode(&mut *env, 5, number);
        }
    }
    let tree = by_name("kuhn_poker").unwrap().tree(100).unwrap();
    let from_file = efg::read(&efg::write(&tree)).unwrap();
    let n = 40_000;
    for mut env in [
        by_name("kuhn_poker").unwrap().environment().unwrap(),
        TreeGame::new(from_file).environment().unwrap(),
    ] {
        let mean = (0..n).map(|i| episode(&mut *env, 1, i).0).sum::<f64>() / n as f64;
        // The value of uniform play is 1/8; a return has a standard deviation of about 1.4.
        assert!((mean - 0.125).abs() < 5.0 * 1.4 / (n as f64).sqrt(), "{mean}");
    }
}

#[test]
fn illegal_moves_are_refused_and_saved_states_go_on() {
    let mut env = by_name("leduc_poker").unwrap().environment().unwrap();
    let mut rng = Stream::new(2, Purpose::Reset, 0, 0);
    env.reset(&mut rng);
    let (mut reward, mut terminated) = (vec![0.0; 2], vec![false; 2]);
    // Nobody raised, so folding is not possible; and the second player must wait.
    for wrong in [[0, 3], [1, 1], [3, 3], [9, 3]] {
        let actions = Actions { discrete: &wrong, continuous: &[] };
        assert!(env.step(actions, &mut rng, &mut reward, &mut terminated).is_err(), "{wrong:?}");
    }
    let go = |env: &mut dyn MultiAgentEnv, actions: [u32; 2], rng: &mut Stream| {
        let (mut reward, mut terminated) = (vec![0.0; 2], vec![false; 2]);
        env.step(Actions { discrete: &actions, continuous: &[] }, rng, &mut reward, &mut terminated).unwrap();
        reward
    };
    go(&mut *env, [2, 3], &mut rng);
    let mut writer = Writer::new();
    env.save(&mut writer);
    let bytes = writer.into_bytes();
    let mut other = by_name("leduc_poker").unwrap().environment().unwrap();
    other.load(&mut Reader::new("leduc", &bytes)).unwrap();
    assert_eq!(go(&mut *env, [3, 0], &mut rng), [1.0, -1.0]);
    assert_eq!(go(&mut *other, [3, 0], &mut rng), [1.0, -1.0]);
    let mut broken = bytes.clone();
    broken[8] = 200;
    assert!(other.load(&mut Reader::new("leduc", &broken)).is_err());
    assert!(other.load(&mut Reader::new("leduc", &bytes[..bytes.len() - 1])).is_err());
}

/// Goofspiel as an environment, taken as a game again: the same tree.
#[test]
fn an_environment_without_chance_is_the_game_that_it_was() {
    let game = Goofspiel::new(3, Prizes::Descending, true, true).unwrap();
    let tree = AnyGame::tree(&game, 10_000).unwrap();
    let make = move || -> Box<dyn MultiAgentEnv> {
        Box::new(TurnBased::new(Goofspiel::new(3, Prizes::Descending, true, true).unwrap()).unwrap())
    };
    let again = EnvGame::new(make, 100, 1).unwrap().tree(10_000).unwrap();
    assert_eq!((again.n_nodes(), again.n_decisions()), (tree.n_nodes(), tree.n_decisions()));
    let nash_conv = |t| assess(t, &Profile::<f64>::uniform(t)).unwrap().nash_conv();
    assert!((nash_conv(&tree) - nash_conv(&again)).abs() < 1e-12);
}

/// Chance by seeds: as many first moves as seeds, and returns that are averages over them.
#[test]
fn an_environment_with_chance_is_sampled() {
    let make = || by_name("kuhn_poker").unwrap().environment().unwrap();
    let tree = EnvGame::new(make, 10, 4).unwrap().tree(10_000).unwrap();
    assert_eq!(tree.children(0).len(), 4);
    assert!(EnvGame::new(make, 0, 4).is_err() && EnvGame::new(make, 10, 0).is_err());
}
