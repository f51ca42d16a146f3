//! Many mutants in one program: each stands beside what it replaces, and the environment says which of them lives.
//!
//! ```text
//! a && b        becomes   (if mutant::is(7) { a || b } else { a && b })
//! fn f() { .. } becomes   fn f() { if mutant::is(8) { return (); } .. }
//! A => x,       becomes   A if !mutant::is(9) => x,
//! ```
//!
//! So a thousand of them cost one build. Where a mutant cannot stand beside the original (a constant, a guard with `let`, another type), it is left out.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Arm, BinOp, Block, Expr, File, ImplItemFn, ItemFn, ItemMod, Stmt, parse_quote, parse_str};

use super::list::{Genre, Mutant};

/// The module that knows which mutant lives. It is added to the crate.
pub(super) const MODULE: &str = "//! Which mutant lives.
/// Whether it is this one.
pub fn is(id: usize) -> bool {
    static LIVING: std::sync::LazyLock<Option<usize>> =
        std::sync::LazyLock::new(|| std::env::var(\"MUTANT\").ok().and_then(|id| id.parse().ok()));
    *LIVING == Some(id)
}
";
/// What a woven condition begins with; the id follows.
pub(super) const MARK: &str = "crate::mutant::is(";

/// The text of a file with these mutants in it, by their ids, and which of them could be woven.
pub(super) fn weave(text: &str, mutants: &[(usize, &Mutant)]) -> Result<(String, BTreeSet<usize>)> {
    let mut file: File = syn::parse_file(text).context("parsing")?;
    let mut weaver = Weaver { mutants, woven: BTreeSet::new() };
    weaver.visit_file_mut(&mut file);
    Ok((prettyplease::unparse(&file), weaver.woven))
}

struct Weaver<'a> {
    mutants: &'a [(usize, &'a Mutant)],
    woven: BTreeSet<usize>,
}

impl Weaver<'_> {
    /// Those of a kind that begin where this does.
    fn of(&self, genre: Genre, what: &impl Spanned) -> Vec<(usize, String)> {
        let start = what.span().start();
        // cargo-mutants counts columns from 1.
        let begin = (start.line, start.column + 1);
        // Two values of a type that is only said to be some are of two types.
        let fits = |mutant: &Mutant| !(genre == Genre::FnValue && mutant.name.contains("-> impl "));
        let here =
            self.mutants.iter().filter(|(_, mutant)| mutant.genre == genre && mutant.begin() == begin && fits(mutant));
        here.map(|(id, mutant)| (*id, mutant.replacement.clone())).collect()
    }

    /// The original, with each variant before it.
    fn beside(&mut self, original: Expr, variants: Vec<(usize, Expr)>) -> Expr {
        variants.into_iter().fold(original, |rest, (id, variant)| {
            self.woven.insert(id);
            let is = is(id);
            parse_quote!((if #is { #variant } else { #rest }))
        })
    }

    fn body(&mut self, block: &mut Block, returns: Vec<(usize, String)>) {
        for (id, value) in returns {
            let Ok(value) = parse_str::<Expr>(&value) else { continue };
            let is = is(id);
            let statement: Stmt = parse_quote!(if #is { return #value; });
            block.stmts.insert(0, statement);
            self.woven.insert(id);
        }
    }

    fn returns(&self, block: &Block) -> Vec<(usize, String)> {
        block.stmts.first().map(|first| self.of(Genre::FnValue, first)).unwrap_or_default()
    }

    /// The variants of an expression that is as it was written.
    fn variants(&self, expr: &Expr) -> Vec<(usize, Change)> {
        match expr {
            Expr::Binary(binary) if !has_let(expr) => {
                let operators = self.of(Genre::BinaryOperator, &binary.op).into_iter();
                operators.filter_map(|(id, text)| Some((id, Change::Operator(parse_str(&text).ok()?)))).collect()
            }
            Expr::Unary(unary) => {
                self.of(Genre::UnaryOperator, &unary.op).into_iter().map(|(id, _)| (id, Change::NoOperator)).collect()
            }
            Expr::Struct(fields) => {
                let of =
                    |(index, field)| self.of(Genre::StructField, field).into_iter().map(move |(id, _)| (id, index));
                fields.fields.iter().enumerate().flat_map(of).map(|(id, index)| (id, Change::NoField(index))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a mutant does to an expression.
enum Change {
    Operator(BinOp),
    NoOperator,
    NoField(usize),
}

impl Change {
    fn apply(self, expr: &Expr) -> Option<Expr> {
        match (self, expr) {
            (Self::Operator(op), Expr::Binary(binary)) => {
                let mut binary = binary.clone();
                binary.op = op;
                Some(Expr::Binary(binary))
            }
            (Self::NoOperator, Expr::Unary(unary)) => Some((*unary.expr).clone()),
            (Self::NoField(index), Expr::Struct(fields)) => {
                let mut without = fields.clone();
                let kept = fields.fields.iter().enumerate().filter(|(other, _)| *other != index);
                without.fields = kept.map(|(_, field)| field.clone()).collect();
                if !without.fields.is_empty() {
                    // `..rest` follows.
                    without.fields.push_punct(parse_quote!(,));
                }
                Some(Expr::Struct(without))
            }
            _ => None,
        }
    }
}

impl VisitMut for Weaver<'_> {
    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if module.ident != "tests" {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }

    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        // A statement that was changed has lost its place.
        let returns = self.returns(&function.block);
        visit_mut::visit_item_fn_mut(self, function);
        self.body(&mut function.block, returns);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        let returns = self.returns(&function.block);
        visit_mut::visit_impl_item_fn_mut(self, function);
        self.body(&mut function.block, returns);
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        let deleted = self.of(Genre::MatchArm, arm);
        let guards = arm.guard.as_ref().map(|(_, guard)| self.of(Genre::MatchArmGuard, guard)).unwrap_or_default();
        visit_mut::visit_arm_mut(self, arm);
        if arm.guard.as_ref().is_some_and(|(_, guard)| has_let(guard)) {
            return;
        }
        let mut guard: Option<Expr> = arm.guard.take().map(|(_, guard)| *guard);
        for (id, value) in guards {
            let is = is(id);
            let Some(before) = guard.take() else { continue };
            guard =
                Some(if value == "true" { parse_quote!((#is || #before)) } else { parse_quote!((!#is && #before)) });
            self.woven.insert(id);
        }
        for (id, _) in deleted {
            let is = is(id);
            guard = Some(guard.take().map_or_else(|| parse_quote!(!#is), |before| parse_quote!((!#is && #before))));
            self.woven.insert(id);
        }
        arm.guard = guard.map(|guard| (parse_quote!(if), Box::new(guard)));
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let changes = self.variants(expr);
        visit_mut::visit_expr_mut(self, expr);
        let variants =
            changes.into_iter().filter_map(|(id, change)| Some((id, change.apply(expr)?))).collect::<Vec<_>>();
        if !variants.is_empty() {
            *expr = self.beside(expr.clone(), variants);
        }
    }
}

fn is(id: usize) -> Expr {
    parse_quote!(crate::mutant::is(#id))
}

/// `let` in a condition binds for what follows: it cannot stand in another one.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn woven(text: &str, mutants: &[Mutant]) -> (String, Vec<usize>) {
        let numbered: Vec<_> = mutants.iter().enumerate().collect();
        let (text, woven) = weave(text, &numbered).unwrap();
        // On one line, as it is easier to compare.
        (text.split_whitespace().collect::<Vec<_>>().join(" "), woven.into_iter().collect())
    }

    #[test]
    fn each_kind_stands_beside_what_it_replaces() {
        let text = "fn f(a: bool, b: bool) -> bool {\n    a && !b\n}\n";
        let all = [
            Mutant::at(Genre::FnValue, "true", 2, 5),
            Mutant::at(Genre::BinaryOperator, "||", 2, 7),
            Mutant::at(Genre::BinaryOperator, "==", 2, 7),
            Mutant::at(Genre::UnaryOperator, "", 2, 10),
        ];
        let (text, woven) = woven(text, &all);
        assert_eq!(woven, [0, 1, 2, 3]);
        assert_eq!(
            text,
            "fn f(a: bool, b: bool) -> bool { if crate::mutant::is(0usize) { return true; } \
             (if crate::mutant::is(2usize) { a == (if crate::mutant::is(3usize) { b } else { !b }) } \
             else { (if crate::mutant::is(1usize) { a || (if crate::mutant::is(3usize) { b } else { !b }) } \
             else { a && (if crate::mutant::is(3usize) { b } else { !b }) }) }) }"
        );
    }

    #[test]
    fn arms_go_and_their_guards_change() {
        let text =
            "fn f(a: u8) -> u8 {\n    match a {\n        0 if g() => 1,\n        1 => 2,\n        _ => 3,\n    }\n}\n";
        let all = [
            Mutant::at(Genre::MatchArmGuard, "true", 3, 14),
            Mutant::at(Genre::MatchArmGuard, "false", 3, 14),
            Mutant::at(Genre::MatchArm, "", 4, 9),
        ];
        let (text, woven) = woven(text, &all);
        assert_eq!(woven, [0, 1, 2]);
        assert_eq!(
            text,
            "fn f(a: u8) -> u8 { match a { 0 if (!crate::mutant::is(1usize) && (crate::mutant::is(0usize) || g())) => 1, \
             1 if !crate::mutant::is(2usize) => 2, _ => 3, } }"
        );
    }

    #[test]
    fn what_binds_stays_as_it_is() {
        let text = "fn f(a: Option<u8>) -> bool {\n    if let Some(b) = a && b > 1 {\n        return true;\n    }\n    false\n}\n";
        let (_, chain) = woven(text, &[Mutant::at(Genre::BinaryOperator, "||", 2, 24)]);
        assert!(chain.is_empty());
        let (text, inner) = woven(text, &[Mutant::at(Genre::BinaryOperator, "<", 2, 29)]);
        assert_eq!(inner, [0]);
        assert!(text.contains("&& (if crate::mutant::is(0usize) { b < 1 } else { b > 1 })"), "{text}");
    }

    #[test]
    fn a_field_is_taken_from_the_rest() {
        let text = "fn f() -> A {\n    A { b: 1, c: 2, ..rest() }\n}\n";
        let (text, woven) = woven(text, &[Mutant::at(Genre::StructField, "", 2, 9)]);
        assert_eq!(woven, [0]);
        assert!(text.contains("{ A { c: 2, ..rest() } } else { A { b: 1, c: 2, ..rest() } }"), "{text}");
    }
}
