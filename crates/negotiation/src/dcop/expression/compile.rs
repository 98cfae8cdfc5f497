//! From tokens to instructions, by precedence climbing. Code is written as it is read; where Python's order of
//! evaluation differs from the order of writing (`A if C else B`), pieces of code change places.

use coact_core::nearest::hint;

use super::lexer::{Kind, Token, tokens};
use super::machine::{Binary, Comparison, Function, Op, Unary};
use super::{Expression, Fault};
use crate::dcop::value::Value;

/// Nesting that no honest constraint comes near.
const MAX_DEPTH: usize = 100;

/// The functions that can be called: name, least and greatest number of arguments, whether one argument may be a
/// list.
const TABLE: [(&str, Function, usize, usize, bool); 13] = [
    ("abs", Function::Abs, 1, 1, false),
    ("round", Function::Round, 1, 2, false),
    ("min", Function::Min, 2, 255, true),
    ("max", Function::Max, 2, 255, true),
    ("sum", Function::Sum, 1, 1, true),
    ("any", Function::Any, 1, 1, true),
    ("all", Function::All, 1, 1, true),
    ("len", Function::Len, 1, 1, true),
    ("pow", Function::Pow, 2, 2, false),
    ("int", Function::Int, 1, 1, false),
    ("float", Function::Float, 1, 1, false),
    ("bool", Function::Bool, 1, 1, false),
    ("str", Function::Str, 1, 1, false),
];

/// The names of the functions that expressions can call.
pub const FUNCTIONS: [&str; 13] =
    ["abs", "round", "min", "max", "sum", "any", "all", "len", "pow", "int", "float", "bool", "str"];

/// Words that cannot be names.
const KEYWORDS: [&str; 18] = [
    "if", "else", "elif", "and", "or", "not", "in", "is", "return", "pass", "lambda", "for", "while", "def",
    "import", "from", "class", "with",
];

/// What an operand is: one value, or a list of n values that was written out.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    One,
    List { n: usize, offset: usize },
}

struct Compiler<'a> {
    tokens: Vec<Token>,
    at: usize,
    code: Vec<Op>,
    offsets: Vec<u32>,
    is_variable: &'a dyn Fn(&str) -> bool,
    /// Slots: variables and assigned names together, in the order of first mention; renumbered at the end.
    names: Vec<(String, bool)>,
    /// Names that are assigned somewhere in the text.
    assigned: Vec<String>,
    depth: usize,
}

pub(super) fn compile(text: &str, is_variable: &dyn Fn(&str) -> bool) -> Result<Expression, Fault> {
    let tokens = tokens(text)?;
    let name_of = |token: &Token| match &token.kind {
        Kind::Name(name) => Some(name.clone()),
        _ => None,
    };
    let is_body = tokens.iter().any(|token| name_of(token).as_deref() == Some("return"));
    let is_assignment =
        |sign: &Kind| matches!(sign, Kind::Sign("=" | "+=" | "-=" | "*=" | "/=" | "//=" | "%="));
    let assigned =
        tokens.windows(2).filter(|pair| is_assignment(&pair[1].kind)).filter_map(|pair| name_of(&pair[0]));
    let mut compiler = Compiler {
        at: 0,
        code: Vec::new(),
        offsets: Vec::new(),
        is_variable,
        names: Vec::new(),
        assigned: if is_body { assigned.collect() } else { Vec::new() },
        depth: 0,
        tokens,
    };
    if is_body {
        compiler.block_until_end()?;
        let end = compiler.token().offset;
        compiler.emit(Op::NoReturn, end);
    } else {
        // Line breaks mean nothing in an expression that YAML has spread over lines.
        let n_before = compiler.tokens.len();
        compiler.tokens.retain(|token| !matches!(token.kind, Kind::Newline | Kind::Indent | Kind::Dedent));
        if let Some(word) = compiler.tokens.first().filter(|_| n_before > 1).and_then(name_of)
            && matches!(word.as_str(), "while" | "for" | "def" | "import" | "from" | "class" | "with")
        {
            return Err(compiler.no_statement(&word));
        }
        let shape = compiler.expression(0)?;
        compiler.one(shape)?;
        if compiler.token().kind != Kind::End {
            return Err(compiler.expected("an operator or the end"));
        }
    }
    Ok(compiler.finish())
}

impl Compiler<'_> {
    /// Variables take the first slots, so that their values can be copied in.
    fn finish(mut self) -> Expression {
        let mut new_slot = vec![0; self.names.len()];
        let variables = self.names.iter().enumerate().filter(|(_, name)| name.1);
        let others = self.names.iter().enumerate().filter(|(_, name)| !name.1);
        for (new, (old, _)) in variables.clone().chain(others).enumerate() {
            new_slot[old] = new;
        }
        for op in &mut self.code {
            if let Op::Load(slot) | Op::Store(slot) = op {
                *slot = new_slot[*slot];
            }
        }
        let variables = variables.map(|(_, name)| name.0.clone()).collect();
        Expression { code: self.code, offsets: self.offsets, variables, n_slots: new_slot.len() }
    }

    fn token(&self) -> &Token {
        // The last token is the end, and is never passed.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token().kind, Kind::Sign(found) if found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token().kind, Kind::Name(name) if name == word)
    }

    fn expected(&self, what: &str) -> Fault {
        let token = self.token();
        Fault::new(token.offset, format!("expected {what}, found {}", token.shown()))
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), Fault> {
        if !self.is_sign(sign) {
            return Err(self.expected(&format!("`{sign}`")));
        }
        self.advance();
        Ok(())
    }

    fn emit(&mut self, op: Op, offset: usize) {
        self.code.push(op);
        self.offsets.push(offset as u32);
    }

    /// Lets the jump at `place` go to the end of the code so far.
    fn land(&mut self, place: usize) {
        let distance = self.code.len() - place - 1;
        if let Op::Jump(skip) | Op::JumpUnless(skip) | Op::JumpKeeping { skip, .. } | Op::Chain(_, skip) =
            &mut self.code[place]
        {
            *skip = distance;
        }
    }

    fn one(&self, shape: Shape) -> Result<(), Fault> {
        match shape {
            Shape::One => Ok(()),
            Shape::List { offset, .. } => Err(Fault::new(
                offset,
                "expected a single value, found a list: lists stand after `in` and inside min, max, sum, any, all, len",
            )),
        }
    }

    fn deeper<T>(&mut self, go: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::new(
                self.token().offset,
                format!("expected at most {MAX_DEPTH} levels of nesting"),
            ));
        }
        self.depth += 1;
        let result = go(self);
        self.depth -= 1;
        result
    }

    // Statements.

    fn block_until_end(&mut self) -> Result<(), Fault> {
        while self.token().kind != Kind::End {
            if matches!(self.token().kind, Kind::Newline) {
                self.advance();
                continue;
            }
            self.statement()?;
        }
        Ok(())
    }

    fn statement(&mut self) -> Result<(), Fault> {
        if self.is_word("if") {
            return self.deeper(Self::if_statement);
        }
        loop {
            self.simple_statement()?;
            if !self.is_sign(";") {
                break;
            }
            self.advance();
            if self.token().kind == Kind::Newline {
                break;
            }
        }
        match self.token().kind {
            Kind::Newline => self.advance(),
            Kind::End | Kind::Dedent => {}
            _ => return Err(self.expected("the end of the line")),
        }
        Ok(())
    }

    /// `if` or `elif`, with all that hangs on it.
    fn if_statement(&mut self) -> Result<(), Fault> {
        let mut to_end = Vec::new();
        loop {
            let offset = self.token().offset;
            self.advance();
            let shape = self.expression(0)?;
            self.one(shape)?;
            let over = self.code.len();
            self.emit(Op::JumpUnless(0), offset);
            self.suite()?;
            let has_more = self.is_word("elif") || self.is_word("else");
            if has_more {
                to_end.push(self.code.len());
                self.emit(Op::Jump(0), offset);
            }
            self.land(over);
            if self.is_word("else") {
                self.advance();
                self.suite()?;
                break;
            }
            if !has_more {
                break;
            }
        }
        for place in to_end {
            self.land(place);
        }
        Ok(())
    }

    /// What follows a colon: statements on the same line, or an indented block.
    fn suite(&mut self) -> Result<(), Fault> {
        self.need_sign(":")?;
        if self.token().kind != Kind::Newline {
            return self.statement();
        }
        self.advance();
        if self.token().kind != Kind::Indent {
            return Err(self.expected("an indented block"));
        }
        self.advance();
        while !matches!(self.token().kind, Kind::Dedent | Kind::End) {
            self.statement()?;
        }
        self.advance();
        Ok(())
    }

    fn simple_statement(&mut self) -> Result<(), Fault> {
        let offset = self.token().offset;
        let Kind::Name(word) = self.token().kind.clone() else {
            return Err(self.expected("`if`, `return`, `pass` or an assignment"));
        };
        match word.as_str() {
            "pass" => {
                self.advance();
                return Ok(());
            }
            "return" => {
                self.advance();
                let shape = self.expression(0)?;
                self.one(shape)?;
                self.emit(Op::Return, offset);
                return Ok(());
            }
            _ if KEYWORDS.contains(&word.as_str()) => return Err(self.no_statement(&word)),
            _ => {}
        }
        self.advance();
        let Kind::Sign(sign) = self.token().kind else {
            return Err(self.expected("`=`"));
        };
        let op = match sign {
            "=" => None,
            "+=" => Some(Binary::Add),
            "-=" => Some(Binary::Sub),
            "*=" => Some(Binary::Mul),
            "/=" => Some(Binary::Div),
            "//=" => Some(Binary::FloorDiv),
            "%=" => Some(Binary::Mod),
            _ => return Err(self.expected("`=`")),
        };
        self.advance();
        let slot = self.slot(&word);
        if op.is_some() {
            self.emit(Op::Load(slot), offset);
        }
        let shape = self.expression(0)?;
        self.one(shape)?;
        if let Some(op) = op {
            self.emit(Op::Binary(op), offset);
        }
        self.emit(Op::Store(slot), offset);
        Ok(())
    }

    fn no_statement(&self, word: &str) -> Fault {
        let why = match word {
            "for" | "while" => "there are no loops here",
            "import" | "from" => "nothing can be imported here",
            _ => "it cannot begin a statement here",
        };
        Fault::new(
            self.token().offset,
            format!("expected `if`, `return` or an assignment, found `{word}`: {why}"),
        )
    }

    fn slot(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|(known, _)| known == name);
        known.unwrap_or_else(|| {
            self.names.push((name.to_owned(), (self.is_variable)(name)));
            self.names.len() - 1
        })
    }

    // Expressions. Binding powers: 0 ternary, 1 or, 2 and, 3 not, 4 comparison, 5 |, 6 ^, 7 &, 8 shift, 9 sum,
    // 10 product, 11 sign, 12 power.

    fn expression(&mut self, least: u8) -> Result<Shape, Fault> {
        self.deeper(|this| this.climb(least))
    }

    fn climb(&mut self, least: u8) -> Result<Shape, Fault> {
        let start = self.code.len();
        let mut shape = self.prefix(least)?;
        loop {
            let offset = self.token().offset;
            if let Some((op, power)) = self.binary_sign() {
                if power < least {
                    return Ok(shape);
                }
                self.one(shape)?;
                self.advance();
                // `**` binds to the right and weaker than a sign on its right.
                let right = self.expression(if op == Binary::Pow { 11 } else { power + 1 })?;
                self.one(right)?;
                self.emit(Op::Binary(op), offset);
            } else if least <= 4 && self.at_comparison() {
                self.one(shape)?;
                self.comparisons()?;
            } else if least <= 2 && self.is_word("and") || least <= 1 && self.is_word("or") {
                let when = self.is_word("or");
                self.one(shape)?;
                self.advance();
                let place = self.code.len();
                self.emit(Op::JumpKeeping { when, skip: 0 }, offset);
                let right = self.expression(if when { 2 } else { 3 })?;
                self.one(right)?;
                self.land(place);
            } else if least == 0 && self.is_word("if") {
                self.one(shape)?;
                self.ternary(start)?;
            } else {
                return Ok(shape);
            }
            shape = Shape::One;
        }
    }

    /// The rest of `A if C else B`, whose A is the code from `start` on.
    fn ternary(&mut self, start: usize) -> Result<(), Fault> {
        let offset = self.token().offset;
        self.advance();
        let middle = self.code.len();
        let condition = self.expression(1)?;
        self.one(condition)?;
        if !self.is_word("else") {
            return Err(self.expected("`else`"));
        }
        self.advance();
        self.emit(Op::JumpUnless(0), offset);
        self.code[start..].rotate_left(middle - start);
        self.offsets[start..].rotate_left(middle - start);
        let over = self.code.len() - (middle - start) - 1;
        let to_end = self.code.len();
        self.emit(Op::Jump(0), offset);
        self.land(over);
        let other = self.expression(0)?;
        self.one(other)?;
        self.land(to_end);
        Ok(())
    }

    fn binary_sign(&self) -> Option<(Binary, u8)> {
        let Kind::Sign(sign) = self.token().kind else { return None };
        Some(match sign {
            "|" => (Binary::Or, 5),
            "^" => (Binary::Xor, 6),
            "&" => (Binary::And, 7),
            "<<" => (Binary::Left, 8),
            ">>" => (Binary::Right, 8),
            "+" => (Binary::Add, 9),
            "-" => (Binary::Sub, 9),
            "*" => (Binary::Mul, 10),
            "/" => (Binary::Div, 10),
            "//" => (Binary::FloorDiv, 10),
            "%" => (Binary::Mod, 10),
            "**" => (Binary::Pow, 12),
            _ => return None,
        })
    }

    fn at_comparison(&self) -> bool {
        let not_in = || matches!(&self.tokens.get(self.at + 1), Some(Token { kind: Kind::Name(word), .. }) if word == "in");
        self.comparison_sign().is_some()
            || self.is_word("in")
            || self.is_word("is")
            || (self.is_word("not") && not_in())
    }

    fn comparison_sign(&self) -> Option<Comparison> {
        let Kind::Sign(sign) = self.token().kind else { return None };
        Some(match sign {
            "==" => Comparison::Equal,
            "!=" => Comparison::Unequal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterEqual,
            _ => return None,
        })
    }

    /// A chain of comparisons, whose first operand is on the stack.
    fn comparisons(&mut self) -> Result<(), Fault> {
        let mut links = Vec::new();
        loop {
            let offset = self.token().offset;
            let negated = self.is_word("not");
            if negated || self.is_word("in") {
                self.advance();
                if negated {
                    self.advance();
                }
                let right = self.expression(5)?;
                match right {
                    Shape::List { n, .. } => self.emit(Op::Among { n, negated }, offset),
                    Shape::One => self.emit(Op::Within { negated }, offset),
                }
                if self.at_comparison() {
                    return Err(self.expected("no further comparison after `in`"));
                }
                break;
            }
            let op = if self.is_word("is") {
                self.advance();
                if self.is_word("not") {
                    Comparison::Unequal
                } else {
                    // The next token is the operand itself.
                    self.at -= 1;
                    Comparison::Equal
                }
            } else {
                // `at_comparison` has seen to it that there is one.
                self.comparison_sign().unwrap_or(Comparison::Equal)
            };
            self.advance();
            let right = self.expression(5)?;
            self.one(right)?;
            if self.at_comparison() {
                links.push(self.code.len());
                self.emit(Op::Chain(op, 0), offset);
            } else {
                self.emit(Op::Compare(op), offset);
                break;
            }
        }
        for place in links {
            self.land(place);
        }
        Ok(())
    }

    fn prefix(&mut self, least: u8) -> Result<Shape, Fault> {
        let Token { kind, offset } = self.token().clone();
        let unary = match &kind {
            Kind::Sign("-") => Some((Unary::Minus, 11)),
            Kind::Sign("+") => Some((Unary::Plus, 11)),
            Kind::Sign("~") => Some((Unary::Invert, 11)),
            Kind::Name(word) if word == "not" && least <= 3 => Some((Unary::Not, 3)),
            _ => None,
        };
        if let Some((op, power)) = unary {
            self.advance();
            let shape = self.expression(power)?;
            self.one(shape)?;
            self.emit(Op::Unary(op), offset);
            return Ok(Shape::One);
        }
        match kind {
            Kind::Int(value) => self.literal(Value::Int(value), offset),
            Kind::Float(value) => self.literal(Value::Float(value), offset),
            Kind::Text(text) => self.literal(Value::Text(text.into()), offset),
            Kind::Sign("(") => return self.bracketed(")", offset),
            Kind::Sign("[") => return self.bracketed("]", offset),
            Kind::Name(name) => self.name(&name, offset)?,
            _ => return Err(self.expected("a value")),
        }
        Ok(Shape::One)
    }

    fn literal(&mut self, value: Value, offset: usize) {
        self.advance();
        self.emit(Op::Push(value), offset);
    }

    /// A value in parentheses, or a tuple or list.
    fn bracketed(&mut self, close: &str, offset: usize) -> Result<Shape, Fault> {
        self.advance();
        let (mut n, mut is_list) = (0, close == "]");
        while !self.is_sign(close) {
            let shape = self.expression(0)?;
            n += 1;
            if n == 1 && close == ")" && self.is_sign(")") && !is_list {
                self.advance();
                return Ok(shape);
            }
            self.one(shape)?;
            if self.is_sign(",") {
                is_list = true;
                self.advance();
            } else if !self.is_sign(close) {
                return Err(self.expected(&format!("`{close}`")));
            }
        }
        self.advance();
        Ok(Shape::List { n, offset })
    }

    fn name(&mut self, name: &str, offset: usize) -> Result<(), Fault> {
        match name {
            "True" => self.literal(Value::Bool(true), offset),
            "False" => self.literal(Value::Bool(false), offset),
            "None" => self.literal(Value::None, offset),
            "lambda" => return Err(self.expected("a value; `lambda` is not read here")),
            _ if KEYWORDS.contains(&name) => return Err(self.expected("a value")),
            _ => {
                self.advance();
                if self.is_sign("(") {
                    return self.call(name, offset);
                }
                let is_assigned = self.assigned.iter().any(|assigned| assigned == name);
                if !is_assigned && !(self.is_variable)(name) {
                    let hint = hint(name, FUNCTIONS);
                    return Err(Fault::new(
                        offset,
                        format!("unknown name `{name}`: expected a variable{hint}"),
                    ));
                }
                let slot = self.slot(name);
                self.emit(Op::Load(slot), offset);
            }
        }
        Ok(())
    }

    fn call(&mut self, name: &str, offset: usize) -> Result<(), Fault> {
        let Some(&(_, function, least, most, takes_list)) = TABLE.iter().find(|entry| entry.0 == name) else {
            let known = FUNCTIONS.join(", ");
            let message = format!("expected a function ({known}), found `{name}`{}", hint(name, FUNCTIONS));
            return Err(Fault::new(offset, message));
        };
        self.advance();
        let (mut n, mut list) = (0, None);
        while !self.is_sign(")") {
            match self.expression(0)? {
                Shape::List { n, .. } if takes_list && list.is_none() => list = Some(n),
                shape => self.one(shape)?,
            }
            n += 1;
            if self.is_sign(",") {
                self.advance();
            } else if !self.is_sign(")") {
                return Err(self.expected("`,` or `)`"));
            }
        }
        self.advance();
        let plural = |n: usize| if n == 1 { "1 argument".into() } else { format!("{n} arguments") };
        let wrong = |count: &str| Fault::new(offset, format!("`{name}` takes {count}, found {}", plural(n)));
        match list {
            Some(length) if n == 1 && function == Function::Len => self.emit(Op::Length(length), offset),
            Some(length) if n == 1 => self.emit(Op::Call(function, length), offset),
            Some(_) => return Err(wrong("one list or single values")),
            None if matches!(function, Function::Sum | Function::Any | Function::All) => {
                return Err(wrong("one list"));
            }
            None if n < least || n > most => {
                return Err(wrong(&if least == most {
                    plural(least)
                } else {
                    format!("{least} to {most} arguments")
                }));
            }
            None => self.emit(Op::Call(function, n), offset),
        }
        Ok(())
    }
}
