//! The topic exchange (AMQP 0-9-1, 3.1.3.3): keys are words separated by dots; in a binding key `*`
//! stands for exactly one word and `#` for any number of them, zero included. The empty key is zero
//! words, as in RabbitMQ, while `.` is two empty words.
//!
//! The binding keys form a trie of words. A message visits only the nodes that its key can reach,
//! each at most once per position in the key, so however the wildcards are nested the work is at
//! most the reachable nodes times the words of the key.

use std::collections::HashSet;
use std::mem;
use std::ptr;
use std::sync::Arc;

use imbl::HashMap;

use crate::Binding;
use crate::route::Route;
use crate::targets::Targets;

/// The `#` nodes below another `#` that were visited, by their addresses: no node moves during a
/// walk.
pub(crate) type VisitedHashes = HashSet<usize>;

/// The trie of binding keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicRule {
    root: Node,
}

impl TopicRule {
    pub(crate) fn insert(&mut self, binding: &Binding) {
        let key = words(&binding.routing_key);
        self.root.update(key, &mut |targets| targets.insert(&binding.destination));
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        let key = words(&binding.routing_key);
        self.root.update(key, &mut |targets| targets.remove(&binding.destination));
    }

    pub(crate) fn route(&self, routing_key: &str, out: &mut Route) {
        out.visited_hashes.clear();
        visit(&self.root, words(routing_key), false, out);
    }
}

/// The words of a key, still joined; `None` is no word at all, which `Some("")` is not.
type Words<'a> = Option<&'a str>;

fn words(key: &str) -> Words<'_> {
    (!key.is_empty()).then_some(key)
}

fn split_first(words: &str) -> (&str, Words<'_>) {
    match words.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (words, None),
    }
}

/// A prefix of binding keys. No node but the root is kept without bindings in or below it.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The bindings whose key ends here.
    targets: Targets,
    literal: Children,
    /// The child for `*`.
    star: Option<Arc<Node>>,
    /// The child for `#`.
    hash: Option<Arc<Node>>,
}

impl Node {
    fn has_children(&self) -> bool {
        !matches!(self.literal, Children::None) || self.star.is_some() || self.hash.is_some()
    }

    fn is_empty(&self) -> bool {
        self.targets.is_empty() && !self.has_children()
    }

    /// Applies `change` to the targets at `key` below this node, making the nodes on the way that
    /// are missing and dropping those that end up empty.
    fn update(&mut self, key: Words<'_>, change: &mut dyn FnMut(&mut Targets)) {
        let Some(key) = key else {
            return change(&mut self.targets);
        };
        let (word, rest) = split_first(key);
        match word {
            "*" => update_child(&mut self.star, rest, change),
            "#" => update_child(&mut self.hash, rest, change),
            word => self.literal.update(word, rest, change),
        }
    }
}

fn update_child(
    child: &mut Option<Arc<Node>>,
    rest: Words<'_>,
    change: &mut dyn FnMut(&mut Targets),
) {
    let mut node = child.take().unwrap_or_default();
    Arc::make_mut(&mut node).update(rest, change);
    *child = (!node.is_empty()).then_some(node);
}

/// The children for literal words. Most nodes have one, and a hash node for it takes four hundred
/// bytes.
#[derive(Clone, Debug, Default)]
enum Children {
    #[default]
    None,
    One(Arc<str>, Arc<Node>),
    /// Looked up, never iterated: its order changes from one process to the next.
    Many(HashMap<Arc<str>, Arc<Node>>),
}

impl Children {
    fn get(&self, word: &str) -> Option<&Node> {
        match self {
            Self::None => None,
            Self::One(only, node) => (**only == *word).then_some(node),
            Self::Many(nodes) => nodes.get(word).map(|node| &**node),
        }
    }

    fn update(&mut self, word: &str, rest: Words<'_>, change: &mut dyn FnMut(&mut Targets)) {
        let (others, mut child) = self.take(word);
        update_child(&mut child, rest, change);
        *self = match (others, child) {
            (others, None) => others,
            (Self::None, Some(node)) => Self::One(word.into(), node),
            (Self::One(other, sibling), Some(node)) => {
                Self::Many([(other, sibling), (word.into(), node)].into_iter().collect())
            }
            (Self::Many(mut nodes), Some(node)) => {
                nodes.insert(word.into(), node);
                Self::Many(nodes)
            }
        };
    }

    /// Takes the child for `word` out; the first part is what remains.
    fn take(&mut self, word: &str) -> (Self, Option<Arc<Node>>) {
        match mem::take(self) {
            Self::One(only, node) if *only == *word => (Self::None, Some(node)),
            Self::Many(mut nodes) => {
                let child = nodes.remove(word);
                let others = if nodes.is_empty() { Self::None } else { Self::Many(nodes) };
                (others, child)
            }
            others @ (Self::None | Self::One(..)) => (others, None),
        }
    }
}

/// Visits `node` with the words that are left. A node other than a `#` is visited at most once per
/// position, because its parent is.
fn visit(node: &Node, rest: Words<'_>, below_hash: bool, out: &mut Route) {
    if rest.is_none() {
        out.add(&node.targets);
    }
    visit_children(node, rest, below_hash, out);
}

fn visit_children(node: &Node, rest: Words<'_>, below_hash: bool, out: &mut Route) {
    if let Some(hash) = &node.hash {
        visit_hash(hash, rest, below_hash, out);
    }
    let Some(rest) = rest else { return };
    let (word, rest) = split_first(rest);
    if let Some(child) = node.literal.get(word) {
        visit(child, rest, below_hash, out);
    }
    if let Some(star) = &node.star {
        visit(star, rest, below_hash, out);
    }
}

/// Visits a `#` node: it matches with any number of the words that are left.
///
/// Below another `#` it is reached again and again, but only the first time counts: the `#` above
/// goes through the positions in order and every step between the two takes one word, so the first
/// visit has the most words left and covers what the later ones would find. That keeps `#.a.#.a.#`
/// from exploding.
fn visit_hash(hash: &Node, mut rest: Words<'_>, below_hash: bool, out: &mut Route) {
    if below_hash && !out.visited_hashes.insert(ptr::from_ref(hash).addr()) {
        return;
    }
    out.add(&hash.targets);
    if !hash.has_children() {
        return;
    }
    loop {
        visit_children(hash, rest, true, out);
        let Some(words) = rest else { return };
        rest = split_first(words).1;
    }
}
