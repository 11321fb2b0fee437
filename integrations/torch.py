"""Record plain PyTorch: any loop of the user's own, by what it calls anyway.

A step of an optimizer is what makes a training; losses, batches, learning rates, norms and files are found in passing.
What is noted of each is the business of the modules that are named here, which are imported with PyTorch itself.
"""

from __future__ import annotations

from typing import Final

from autolog.hooks import Integration

torch: Final = Integration("torch", requires="torch>=2.4", package="torch")

_ROOM: Final = "autolog.integrations"

torch.attach("torch.optim.optimizer")(f"{_ROOM}.torch_steps:watch_steps")
torch.listen("torch.optim.optimizer:Optimizer.__init__", before=True)(f"{_ROOM}.torch_optimizers:note_optimizer")
torch.listen("torch.optim.lr_scheduler:LRScheduler.__init__", "torch.optim.lr_scheduler:ReduceLROnPlateau.__init__")(
    f"{_ROOM}.torch_optimizers:note_scheduler"
)
torch.listen("torch.autograd:backward", is_guarded=True)(f"{_ROOM}.torch_losses:note_backward")
torch.listen("torch:compile", "torch.export:export", before=True)(f"{_ROOM}.torch_losses:note_compilation")
torch.attach("torch.nn.functional")(f"{_ROOM}.torch_losses:watch_losses")
torch.listen("torch.nn.modules.module:Module.eval")(f"{_ROOM}.torch_losses:note_evaluation_mode")
torch.listen("torch.amp.grad_scaler:GradScaler.scale")(f"{_ROOM}.torch_losses:note_scaled")
torch.listen("torch.amp.grad_scaler:GradScaler.update")(f"{_ROOM}.torch_losses:note_scaler")
torch.listen("torch.nn.utils.clip_grad:clip_grad_norm_", is_guarded=True)(f"{_ROOM}.torch_losses:note_norm")
torch.listen("torch.nn.utils.clip_grad:clip_grad_value_")(f"{_ROOM}.torch_losses:note_clipping")
torch.listen("torch.utils.data.dataloader:DataLoader.__iter__")(f"{_ROOM}.torch_passes:note_pass")
torch.listen("torch.serialization:save")(f"{_ROOM}.torch_checkpoints:note_file")
