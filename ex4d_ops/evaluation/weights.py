"""The public weights of the measures that look with networks: names, sizes, licences and addresses alone."""

from __future__ import annotations

from ..estimators.weights import Address, Repository, Weights

FOLDER = "evaluation"  # below ComfyUI's models folder
INCEPTION, I3D, VIDEOMAE, ALEXNET, CLIP = ("inception-fid", "i3d-fvd", "videomae-fvd", "alexnet-lpips",
                                           "clip-vit-base-patch32")

EVALUATORS: dict[str, Weights] = {
    INCEPTION: Weights(FOLDER, (Address(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "Apache-2.0", 95.5, "6726825d"),)),
    I3D: Weights(FOLDER, (Address("https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
                                  "Apache-2.0", 50.8),)),
    VIDEOMAE: Weights(FOLDER, (Repository("OpenGVLab/VideoMAE2", "Apache-2.0", {
        "mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth": 2020.0}),)),
    ALEXNET: Weights(FOLDER, (Address("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                                      "BSD-3-Clause", 244.4, "7be5be79"),)),
    CLIP: Weights(FOLDER, (Repository("openai/clip-vit-base-patch32", "MIT", {
        "pytorch_model.bin": 605.1, "tokenizer.json": 2.2, "tokenizer_config.json": 0.0, "config.json": 0.0,
        "preprocessor_config.json": 0.0}, CLIP),)),
}
