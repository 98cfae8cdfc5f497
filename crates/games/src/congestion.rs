//! Routing games: traffic that chooses among routes over links whose travel time grows with their load.
//!
//! Nonatomic: demand is divided without end. At equilibrium every used route takes as long as the shortest (Wardrop
//! 1952); the optimum is the equilibrium under marginal tolls. Finite numbers of drivers are games in normal form:
//! see the catalog.

use crate::error::{Error, Result};

/// A link whose travel time is `fixed + per_load * load`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Time when empty.
    pub fixed: f64,
    /// More time for each unit of load.
    pub per_load: f64,
}

/// Links, routes over them, and the demand that all routes serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    links: Vec<Link>,
    /// Links of each route.
    routes: Vec<Vec<usize>>,
    demand: f64,
}

/// A division of the demand.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Load of each route.
    pub routes: Vec<f64>,
    /// Load of each link.
    pub links: Vec<f64>,
    /// Mean travel time.
    pub mean_time: f64,
}

/// Shifts of load between routes before equilibrium is given up.
const MAX_SHIFTS: usize = 100_000;

impl Routing {
    /// A network.
    ///
    /// # Errors
    /// If a number is negative or not finite, there is no route, or a route uses a link that is not there.
    pub fn new(links: Vec<Link>, routes: Vec<Vec<usize>>, demand: f64) -> Result<Self> {
        let is_time = |x: f64| x >= 0.0 && x.is_finite();
        let fine = demand > 0.0
            && demand.is_finite()
            && links.iter().all(|l| is_time(l.fixed) && is_time(l.per_load));
        if !fine {
            return Err(Error::invalid("demand must be positive, and travel times nonnegative numbers"));
        }
        if routes.is_empty() || routes.iter().flatten().any(|&l| l >= links.len()) {
            return Err(Error::invalid("a network needs routes, and each route links of the network"));
        }
        Ok(Self { links, routes, demand })
    }

    /// Pigou's: one road always takes 1, the other as long as the share of the demand on it.
    pub fn pigou() -> Self {
        let links = vec![Link { fixed: 1.0, per_load: 0.0 }, Link { fixed: 0.0, per_load: 1.0 }];
        Self { links, routes: vec![vec![0], vec![1]], demand: 1.0 }
    }

    /// Braess' with 4000 drivers: two routes of a link that takes `load / 100` and one that takes 45, and where `open` a
    /// third that joins the two variable links.
    pub fn braess(open: bool) -> Self {
        let variable = Link { fixed: 0.0, per_load: 0.01 };
        let fixed = Link { fixed: 45.0, per_load: 0.0 };
        let mut routes = vec![vec![0, 2], vec![3, 1]];
        if open {
            routes.push(vec![0, 1]);
        }
        Self { links: vec![variable, variable, fixed, fixed], routes, demand: 4000.0 }
    }

    /// Links of each route.
    pub fn routes(&self) -> &[Vec<usize>] {
        &self.routes
    }

    /// Travel time of a route under loads on routes.
    pub fn route_time(&self, routes: &[f64], route: usize) -> f64 {
        let loads = self.loads(routes);
        self.routes[route].iter().map(|&l| self.links[l].fixed + self.links[l].per_load * loads[l]).sum()
    }

    /// Where no driver gains by another route.
    ///
    /// # Errors
    /// If shifting load does not settle.
    pub fn equilibrium(&self) -> Result<Flow> {
        self.settle(1.0)
    }

    /// The division of least mean travel time.
    ///
    /// # Errors
    /// If shifting load does not settle.
    pub fn optimum(&self) -> Result<Flow> {
        self.settle(2.0)
    }

    /// Mean travel time at equilibrium over that of the optimum.
    ///
    /// # Errors
    /// If shifting load does not settle.
    pub fn price_of_anarchy(&self) -> Result<f64> {
        Ok(self.equilibrium()?.mean_time / self.optimum()?.mean_time)
    }

    /// For each link, the toll that makes drivers choose the optimum: what one more unit of load costs the others there.
    ///
    /// # Errors
    /// If shifting load does not settle.
    pub fn marginal_tolls(&self) -> Result<Vec<f64>> {
        let optimum = self.optimum()?;
        Ok(self.links.iter().zip(&optimum.links).map(|(link, load)| link.per_load * load).collect())
    }

    /// The same network with tolls added to the travel times.
    ///
    /// # Errors
    /// If the tolls do not fit.
    pub fn with_tolls(&self, tolls: &[f64]) -> Result<Self> {
        if tolls.len() != self.links.len() {
            return Err(Error::Shape { what: "tolls", found: tolls.len(), expected: self.links.len() });
        }
        let links = self.links.iter().zip(tolls);
        let links = links.map(|(link, toll)| Link { fixed: link.fixed + toll, ..*link }).collect();
        Self::new(links, self.routes.clone(), self.demand)
    }

    /// Mean travel time of loads on routes.
    pub fn mean_time(&self, routes: &[f64]) -> f64 {
        let loads = self.loads(routes);
        let total: f64 = self.links.iter().zip(&loads).map(|(l, x)| x * (l.fixed + l.per_load * x)).sum();
        total / self.demand
    }

    fn loads(&self, routes: &[f64]) -> Vec<f64> {
        let mut loads = vec![0.0; self.links.len()];
        for (route, load) in self.routes.iter().zip(routes) {
            route.iter().for_each(|&l| loads[l] += load);
        }
        loads
    }

    /// Equalizes `fixed + weight * per_load * load` over used routes: each time from the slowest used to the fastest.
    fn settle(&self, weight: f64) -> Result<Flow> {
        let n = self.routes.len();
        let mut routes = vec![self.demand / n as f64; n];
        for _ in 0..MAX_SHIFTS {
            let loads = self.loads(&routes);
            let cost = |l: usize| self.links[l].fixed + weight * self.links[l].per_load * loads[l];
            let costs: Vec<f64> = self.routes.iter().map(|r| r.iter().map(|&l| cost(l)).sum()).collect();
            let fastest = (1..n).fold(0, |a, b| if costs[b] < costs[a] { b } else { a });
            let used = (0..n).filter(|&r| routes[r] > 0.0);
            let slowest = used.fold(fastest, |a, b| if costs[b] > costs[a] { b } else { a });
            let gap = costs[slowest] - costs[fastest];
            if gap <= 1e-12 * costs[slowest] {
                let mean_time = self.mean_time(&routes);
                return Ok(Flow { links: loads, routes, mean_time });
            }
            // Only links that the two routes do not share change.
            let only = |a: usize, b: usize| {
                let own = self.routes[a].iter().filter(|l| !self.routes[b].contains(l));
                own.map(|&l| weight * self.links[l].per_load).sum::<f64>()
            };
            let slope = only(slowest, fastest) + only(fastest, slowest);
            let shift = if slope > 0.0 { (gap / slope).min(routes[slowest]) } else { routes[slowest] };
            routes[slowest] -= shift;
            routes[fastest] += shift;
        }
        Err(Error::Inaccurate { what: "the equilibrium of a routing game" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pigou_and_braess() {
        let pigou = Routing::pigou();
        assert!((pigou.price_of_anarchy().unwrap() - 4.0 / 3.0).abs() < 1e-9);
        assert!((Routing::braess(false).equilibrium().unwrap().mean_time - 65.0).abs() < 1e-9);
        let open = Routing::braess(true);
        let flow = open.equilibrium().unwrap();
        assert!((flow.mean_time - 80.0).abs() < 1e-9 && (flow.routes[2] - 4000.0).abs() < 1e-6);
        // Tolls bring the drivers to the optimum, which is no worse than 65.
        let tolled = open.with_tolls(&open.marginal_tolls().unwrap()).unwrap().equilibrium().unwrap();
        let best = open.optimum().unwrap().mean_time;
        assert!(best <= 65.0 + 1e-9 && (open.mean_time(&tolled.routes) - best).abs() < 1e-6);
        assert!(Routing::new(vec![], vec![], 1.0).is_err() && open.with_tolls(&[1.0]).is_err());
    }
}
