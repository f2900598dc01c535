//! The tree pane: what is selected, which directories are open.

use diffkeeper_store::model::{FileId, TracePath};

use super::App;
use super::browse::keep_in_sight;
use crate::view::layout::Pane;

impl App {
    pub(super) fn toggle_changed_only(&mut self) {
        self.tree.changed_only = !self.tree.changed_only;
        (self.tree.selected, self.tree.top) = (0, 0);
        self.focus(Pane::Tree);
    }

    fn tree_rows(&self) -> usize {
        if self.tree.changed_only {
            self.tree
                .changes
                .as_ref()
                .map_or(0, |(.., changes)| changes.len())
        } else {
            self.tree.tree.as_ref().map_or(0, |(_, tree)| tree.total)
        }
    }

    pub(super) fn select_in_tree(&mut self, rows: usize, down: bool) {
        let selected = self.tree.selected;
        self.tree.selected = match down {
            true => selected.saturating_add(rows),
            false => selected.saturating_sub(rows),
        };
        self.clamp_tree();
    }

    pub(super) fn clamp_tree(&mut self) {
        let (rows, height) = (self.tree_rows(), self.height(Pane::Tree));
        let state = &mut self.tree;
        state.selected = state.selected.min(rows.saturating_sub(1));
        state.top = keep_in_sight(state.top, state.selected, height);
    }

    /// What is selected: its path, its file, whether it is a directory.
    pub(crate) fn selected_in_tree(&self) -> Option<(TracePath, FileId, bool)> {
        let selected = self.tree.selected;
        if self.tree.changed_only {
            let (.., changes) = self.tree.changes.as_ref()?;
            let change = changes.get(selected)?;
            return Some((change.path.clone(), change.file, false));
        }
        let (ask, tree) = self.tree.tree.as_ref()?;
        let node = tree.nodes.get(selected.checked_sub(ask.first)?)?;
        Some((node.path.clone(), node.file, node.is_dir))
    }

    pub(super) fn open_in_tree(&mut self) {
        let Some((path, file, is_dir)) = self.selected_in_tree() else {
            return;
        };
        if is_dir {
            if !self.tree.open.remove(&path) {
                self.tree.open.insert(path);
            }
            return;
        }
        self.pin(file, path);
    }

    /// The content pane stays with a file.
    pub(super) fn pin(&mut self, file: FileId, path: TracePath) {
        self.pinned = Some((file, path));
        self.content.start = None;
        self.focus(Pane::Content);
    }
}
