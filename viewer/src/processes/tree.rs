//! The order of the lines: children below their parents, whatever a trace says of them.

use std::collections::{HashMap, HashSet};

use diffkeeper_store::model::ProcessId;

use super::tally::Member;

/// Levels that are drawn; what lies deeper tells its level as a number.
const MAX_DRAWN: usize = 32;

/// The strokes that a tree is drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Strokes {
    child: &'static str,
    last: &'static str,
    beside: &'static str,
    below: &'static str,
}

impl Strokes {
    const BOX: Self = Self {
        child: "\u{251c}\u{2500} ",
        last: "\u{2514}\u{2500} ",
        beside: "\u{2502}  ",
        below: "   ",
    };
    const ASCII: Self = Self {
        child: "|- ",
        last: "`- ",
        beside: "|  ",
        below: "   ",
    };

    /// Box characters, or what every terminal has.
    #[must_use]
    pub const fn new(utf8: bool) -> Self {
        if utf8 { Self::BOX } else { Self::ASCII }
    }
}

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which of the members.
    pub member: usize,
    /// What stands before its name.
    pub prefix: String,
}

/// The lines of the chosen members and of all above them. Every one has exactly one line,
/// also in a trace where a process descends from itself.
#[must_use]
pub fn lines(members: &[Member], strokes: Strokes) -> Vec<Line> {
    let mut forest = Forest::new(members);
    let mut lines = Vec::with_capacity(forest.shown.len());
    for root in 0..members.len() {
        if forest.is_root(root) {
            forest.draw(root, strokes, &mut lines);
        }
    }
    // Whoever is left is part of a circle: the first one met stands for its root.
    for member in 0..members.len() {
        forest.draw(member, strokes, &mut lines);
    }
    lines
}

struct Forest<'m> {
    members: &'m [Member],
    /// Members that are still to be drawn.
    shown: HashSet<usize>,
    children: HashMap<ProcessId, Vec<usize>>,
}

/// A member that waits for its line.
struct Next {
    member: usize,
    depth: usize,
    is_last: bool,
}

impl<'m> Forest<'m> {
    fn new(members: &'m [Member]) -> Self {
        let mut forest = Self {
            members,
            shown: HashSet::new(),
            children: HashMap::new(),
        };
        for (at, member) in members.iter().enumerate() {
            if member.chosen {
                forest.show_up_from(at);
            }
        }
        for (at, member) in members.iter().enumerate() {
            if let Some(parent) = member.parent.filter(|_| forest.shown.contains(&at)) {
                forest.children.entry(parent).or_default().push(at);
            }
        }
        forest
    }

    /// A member and all above it are to be drawn.
    fn show_up_from(&mut self, member: usize) {
        let mut next = Some(member);
        while let Some(at) = next.filter(|at| self.shown.insert(*at)) {
            next = self.parent(at);
        }
    }

    fn parent(&self, member: usize) -> Option<usize> {
        let parent = self.members.get(member)?.parent?;
        self.members
            .binary_search_by_key(&parent, |member| member.id)
            .ok()
    }

    fn is_root(&self, member: usize) -> bool {
        self.parent(member).is_none()
    }

    /// Draws a member and all below it, unless it has been drawn.
    fn draw(&mut self, root: usize, strokes: Strokes, lines: &mut Vec<Line>) {
        let mut rails: Vec<&str> = Vec::new();
        let mut pending = vec![Next {
            member: root,
            depth: 0,
            is_last: true,
        }];
        while let Some(Next {
            member,
            depth,
            is_last,
        }) = pending.pop()
        {
            if !self.shown.remove(&member) {
                continue;
            }
            rails.truncate(depth.saturating_sub(1));
            let own = if is_last { strokes.last } else { strokes.child };
            let prefix = prefix(&rails, own, depth);
            lines.push(Line { member, prefix });
            if depth > 0 {
                let below = if is_last {
                    strokes.below
                } else {
                    strokes.beside
                };
                rails.push(below);
            }
            self.push_children(member, depth + 1, &mut pending);
        }
    }

    /// The first child is to be popped first.
    fn push_children(&self, member: usize, depth: usize, pending: &mut Vec<Next>) {
        let id = self.members.get(member).map(|member| member.id);
        let children = id.and_then(|id| self.children.get(&id));
        let children = children.map(Vec::as_slice).unwrap_or_default();
        let last = children.last();
        pending.extend(children.iter().rev().map(|child| Next {
            member: *child,
            depth,
            is_last: Some(child) == last,
        }));
    }
}

fn prefix(rails: &[&str], own: &str, depth: usize) -> String {
    match depth {
        0 => String::new(),
        1..=MAX_DRAWN => rails.concat() + own,
        _ => {
            let rails = rails.get(..MAX_DRAWN - 1).unwrap_or_default();
            format!("{}{own}({depth}) ", rails.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Strokes, lines};
    use crate::processes::tally::Member;
    use diffkeeper_store::model::ProcessId;

    /// The drawing of processes given as `(id, parent, chosen)`.
    fn drawn(members: &[(u32, u32, bool)], utf8: bool) -> Vec<String> {
        let members: Vec<Member> = members
            .iter()
            .map(|(id, parent, chosen)| {
                let parent = (*parent > 0).then_some(ProcessId(*parent));
                let mut member = Member::new(ProcessId(*id), parent);
                member.chosen = *chosen;
                member
            })
            .collect();
        let text = |line: &super::Line| {
            let id = members.get(line.member).map_or(0, |member| member.id.0);
            format!("{}{id}", line.prefix)
        };
        let lines = lines(&members, Strokes::new(utf8));
        lines.iter().map(text).collect()
    }

    #[test]
    fn children_stand_below_their_parents() {
        let family = [
            (1, 0, true),
            (2, 1, true),
            (3, 2, true),
            (4, 1, true),
            (5, 4, true),
            (6, 2, true),
            (7, 0, true),
            (8, 99, true),
        ];
        let expected = [
            "1", "|- 2", "|  |- 3", "|  `- 6", "`- 4", "   `- 5", "7", "8",
        ];
        assert_eq!(drawn(&family, false), expected);
        let expected = [
            "1",
            "├─ 2",
            "│  ├─ 3",
            "│  └─ 6",
            "└─ 4",
            "   └─ 5",
            "7",
            "8",
        ];
        assert_eq!(drawn(&family, true), expected);
    }

    #[test]
    fn a_child_may_have_been_seen_before_its_parent() {
        let found = drawn(&[(1, 3, true), (2, 0, true), (3, 2, true)], false);
        assert_eq!(found, ["2", "`- 3", "   `- 1"]);
    }

    #[test]
    fn the_chosen_keep_those_above_them() {
        let family = [
            (1, 0, false),
            (2, 1, false),
            (3, 2, true),
            (4, 2, false),
            (5, 0, false),
        ];
        assert_eq!(drawn(&family, false), ["1", "`- 2", "   `- 3"]);
        assert_eq!(drawn(&[(1, 0, false)], false), [""; 0]);
    }

    #[test]
    fn a_circle_is_drawn_once() {
        let circle = [(1, 2, true), (2, 3, true), (3, 1, true), (4, 4, true)];
        let expected = ["1", "`- 3", "   `- 2", "4"];
        assert_eq!(drawn(&circle, false), expected);
    }

    #[test]
    fn a_deep_tree_stays_narrow() {
        let chain: Vec<_> = (1..=5000).map(|id| (id, id - 1, true)).collect();
        let found = drawn(&chain, false);
        assert_eq!(found.len(), 5000);
        assert_eq!(found.get(2).map(String::as_str), Some("   `- 3"));
        let last = found.last().map(String::as_str).unwrap_or_default();
        assert!(last.ends_with("`- (4999) 5000"), "{last}");
        assert!(found.iter().all(|line| line.len() < 120));
    }
}
